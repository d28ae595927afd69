// Root-mean-square normalization on a GPU, and the message of the last failure.
#include "ckernels_cuda.h"

#include "Guard.hpp"
#include "Modules.hpp"

namespace ckernels::cuda {

std::string &lastError() {
  thread_local std::string message;
  return message;
}

namespace {

const NormModule &moduleFor(int64_t width, const ck_cuda_target &target) {
  constexpr int64_t maximumWidth = 65536;
  if (width < 1 || width > maximumWidth)
    throw Failure{"rows of " + std::to_string(width) + " channels are too wide for the kernels that normalize them"};
  return normModule(int(width), int(target.element), target.device);
}

}  // namespace
}  // namespace ckernels::cuda

using namespace ckernels::cuda;

const char *ck_cuda_error(void) { return lastError().c_str(); }

bool ck_cuda_rms_norm_is_supported(int64_t width, const ck_cuda_target *target) {
  return succeeds([&] { moduleFor(width, *target); });
}

int64_t ck_cuda_rms_norm_scratch_count(int64_t rows, int64_t width, const ck_cuda_target *target) {
  return guarded<int64_t>(0, [&] { return moduleFor(width, *target).backward.blocksFor(rows) * width; });
}

bool ck_cuda_rms_norm(const ck_cuda_rms_norm_args *args, const ck_cuda_target *target) {
  return guarded(false, [&] {
    const NormModule &kernels = moduleFor(args->width, *target);
    if (args->rows <= 0) return args->rows == 0;
    requireAligned({args->x, args->weight, args->y});
    NormArguments arguments{};
    arguments.x = args->x;
    arguments.weight = args->weight;
    arguments.y = args->y;
    arguments.scale = args->scale;
    arguments.rows = args->rows;
    arguments.epsilon = args->epsilon;
    kernels.forward.launch(kernels.forward.blocksFor(args->rows), target->stream, &arguments);
    return true;
  });
}

bool ck_cuda_rms_norm_backward(const ck_cuda_rms_norm_backward_args *args, const ck_cuda_target *target) {
  return guarded(false, [&] {
    const NormModule &kernels = moduleFor(args->width, *target);
    if (args->rows <= 0) return args->rows == 0;
    requireAligned({args->x, args->weight, args->y_gradient, args->x_gradient});
    NormArguments arguments{};
    arguments.x = args->x;
    arguments.weight = args->weight;
    arguments.savedScale = args->scale;
    arguments.yGradient = args->y_gradient;
    arguments.xGradient = args->x_gradient;
    arguments.sums = target->scratch;
    arguments.weightGradient = args->weight_gradient;
    arguments.rows = args->rows;
    arguments.blocks = kernels.backward.blocksFor(args->rows);
    kernels.backward.launch(arguments.blocks, target->stream, &arguments);
    if (args->weight_gradient)
      kernels.addToGradients.launch(int(args->width) / kernels.addToGradients.threads + 1, target->stream, &arguments);
    return true;
  });
}

const char *ck_cuda_compile_norm(
    int64_t width, ck_cuda_element element, int architecture, int shared_bytes, ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    const Shape shape(1, 1, int(width), int(element), false);
    return describe(compileNorm(shape, Processor{architecture, shared_bytes, 1}), kernels, count);
  });
}
