// Root-mean-square normalisation on a GPU, and the message of the last failure.
#include "ckernels_cuda.h"

#include "Guard.hpp"
#include "Modules.hpp"

namespace ckernels {
namespace cuda {

std::string &lastError() {
  thread_local std::string message;
  return message;
}

namespace {

const NormModule &moduleFor(int64_t width, const ck_cuda_target &target) {
  constexpr int64_t most = 65536;
  if (width < 1 || width > most)
    throw Failure{"rows of " + std::to_string(width) + " channels are too wide for the kernels that normalise them"};
  return normModule(int(width), int(target.element), target.device);
}

}  // namespace
}  // namespace cuda
}  // namespace ckernels

using namespace ckernels::cuda;

const char *ck_cuda_error(void) { return lastError().c_str(); }

bool ck_cuda_rms_norm_is_supported(int64_t width, const ck_cuda_target *target) {
  return guarded(false, [&] {
    moduleFor(width, *target);
    return true;
  });
}

int64_t ck_cuda_rms_norm_scratch_count(int64_t rows, int64_t width, const ck_cuda_target *target) {
  return guarded<int64_t>(0, [&] { return moduleFor(width, *target).backward.blocksFor(rows) * width; });
}

bool ck_cuda_rms_norm(
    int64_t rows, int64_t width, const void *x, const float *weight, float epsilon, void *y, float *scale,
    const ck_cuda_target *target) {
  return guarded(false, [&] {
    const NormModule &kernels = moduleFor(width, *target);
    if (rows <= 0) return rows == 0;
    requireAligned({x, weight, y});
    NormArguments arguments{};
    arguments.x = x;
    arguments.weight = weight;
    arguments.y = y;
    arguments.scale = scale;
    arguments.rows = rows;
    arguments.epsilon = epsilon;
    kernels.forward.launch(kernels.forward.blocksFor(rows), target->stream, &arguments);
    return true;
  });
}

bool ck_cuda_rms_norm_backward(
    int64_t rows, int64_t width, const void *x, const float *weight, const float *scale, const void *y_gradient,
    void *x_gradient, float *weight_gradient, const ck_cuda_target *target) {
  return guarded(false, [&] {
    const NormModule &kernels = moduleFor(width, *target);
    if (rows <= 0) return rows == 0;
    requireAligned({x, weight, y_gradient, x_gradient});
    NormArguments arguments{};
    arguments.x = x;
    arguments.weight = weight;
    arguments.savedScale = scale;
    arguments.yGradient = y_gradient;
    arguments.xGradient = x_gradient;
    arguments.sums = target->scratch;
    arguments.weightGradient = weight_gradient;
    arguments.rows = rows;
    arguments.blocks = kernels.backward.blocksFor(rows);
    kernels.backward.launch(arguments.blocks, target->stream, &arguments);
    if (weight_gradient)
      kernels.deliver.launch(int(width) / kernels.deliver.threads + 1, target->stream, &arguments);
    return true;
  });
}

const char *ck_cuda_compile_norm(
    int64_t width, ck_cuda_element element, int architecture, int shared_bytes, ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    thread_local std::string report;
    const Shape shape(1, 1, int(width), int(element), false);
    report = compileNorm(shape, Processor{architecture, shared_bytes, 1}).report;
    kernels[0] = ck_cuda_kernel{"normForward", shape.threads(), 0};
    kernels[1] = ck_cuda_kernel{"normBackward", shape.threads(), shape.C * int(sizeof(float))};
    kernels[2] = ck_cuda_kernel{"normDeliver", shape.threads(), 0};
    *count = 3;
    return report.c_str();
  });
}
