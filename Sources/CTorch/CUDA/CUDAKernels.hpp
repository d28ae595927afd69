// Tensors on a CUDA GPU as arguments of this package's kernels.
#pragma once

#include <string>

#include "ckernels_cuda.h"
#include "Core/Internal.hpp"

namespace wideband {

/// The GPU of a tensor of float32 or bfloat16, and libtorch's current stream there.
ck_cuda_target cudaTarget(const at::Tensor &tensor, float *scratch = nullptr);

/// Whether a tensor is on a CUDA GPU, in a dtype of the kernels.
bool isForCUDAKernels(const at::Tensor &tensor);

/// `tensor` as the kernels require it: contiguous, and on a GPU aligned to 16 bytes.
at::Tensor prepared(const at::Tensor &tensor);

/// The elements of a tensor as an argument of kernels: of the processor, which take floats, or of a GPU. Null for none.
struct ConstElements {
  const void *first = nullptr;

  ConstElements() = default;
  ConstElements(const at::Tensor &tensor) : first(tensor.defined() ? tensor.const_data_ptr() : nullptr) {}
  operator const void *() const { return first; }
  operator const float *() const { return static_cast<const float *>(first); }
};

/// The same of a tensor that is written.
struct Elements {
  void *first = nullptr;

  Elements() = default;
  Elements(const at::Tensor &tensor) : first(tensor.defined() ? tensor.mutable_data_ptr() : nullptr) {}
  operator void *() const { return first; }
  operator float *() const { return static_cast<float *>(first); }
};

/// Prints to standard error, once in a process, why there are no kernels for `what`.
void reportRefusal(const char *what, const std::string &reason);

}  // namespace wideband
