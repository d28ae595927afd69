#include "CUDA/CUDAKernels.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdio>
#include <mutex>
#include <set>

namespace wideband {

ck_cuda_target cudaTarget(const at::Tensor &tensor, float *scratch) {
  const auto device = tensor.device();
  const auto stream = c10::impl::VirtualGuardImpl(device.type()).getStream(device);
  return {
      static_cast<int>(device.index()), stream.native_handle(),
      tensor.scalar_type() == at::kFloat ? CK_CUDA_FLOAT32 : CK_CUDA_BFLOAT16, scratch};
}

bool isForCUDAKernels(const at::Tensor &tensor) {
  return tensor.is_cuda() && (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16);
}

at::Tensor prepared(const at::Tensor &tensor) {
  auto contiguous = tensor.contiguous();
  if (!contiguous.is_cuda() || reinterpret_cast<uintptr_t>(contiguous.const_data_ptr()) % 16 == 0) return contiguous;
  return contiguous.clone();
}

void reportRefusal(const char *what, const std::string &reason) {
  static std::mutex mutex;
  static std::set<std::string> reported;
  const std::string line = std::string(what) + " are computed by composed operators: " + reason;
  std::lock_guard<std::mutex> lock(mutex);
  if (reported.insert(line).second) std::fprintf(stderr, "%s\n", line.c_str());
}

}  // namespace wideband
