// What kernels of ours need to know of a tensor on a CUDA GPU.
#pragma once

#include <string>

#include "Internal.h"
#include "ckernels_cuda.h"

namespace wideband {

/// The GPU of a tensor of float32 or bfloat16, and the stream on which libtorch's own operators run there now.
ck_cuda_target cudaTarget(const at::Tensor &tensor, float *scratch = nullptr);

/// Whether a tensor lies on a CUDA GPU, in a dtype that kernels of ours take.
bool isForCUDAKernels(const at::Tensor &tensor);

/// `tensor` as kernels want it: contiguous, and on a GPU beginning at a multiple of 16 bytes.
at::Tensor prepared(const at::Tensor &tensor);

/// Says on standard error, once in a process, why `what` go without kernels.
void reportRefusal(const char *what, const std::string &reason);

}  // namespace wideband
