#include "Core/UnlistedFunctions.hpp"

#include <dlfcn.h>

namespace wideband {
namespace {

template <typename Function>
void require(Function &function, const char *name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  TORCH_CHECK(function, "libtorch's CUDA library has no '", name, "'");
}

}  // namespace

OneDNNProduct findOneDNNProduct() {
  return reinterpret_cast<OneDNNProduct>(dlsym(RTLD_DEFAULT, "_ZN2at6native13mkldnn_matmulERKNS_6TensorES3_S3_ff"));
}

const CUDAGraphFunctions &CUDAGraphFunctions::all() {
  static const CUDAGraphFunctions functions = [] {
    CUDAGraphFunctions found;
    require(found.construct, "_ZN2at4cuda9CUDAGraphC1Eb");
    require(found.destroy, "_ZN2at4cuda9CUDAGraphD1Ev");
    require(found.captureBegin, "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
    require(found.captureEnd, "_ZN2at4cuda9CUDAGraph11capture_endEv");
    require(found.replay, "_ZN2at4cuda9CUDAGraph6replayEv");
    return found;
  }();
  return functions;
}

}  // namespace wideband
