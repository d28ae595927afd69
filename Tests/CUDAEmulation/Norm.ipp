// The kernels that normalize rows of WB_WIDTH elements, and what runs them.
#define WB_RATE 1
#define WB_SLOTS 1
#define WB_DYNAMIC 0

#include "Device.hpp"
#include "device/Norm.cuh"

namespace ckernels::cuda {

inline void runNorm(
    int64_t rows, const void *x, const float *weight, float epsilon, void *y, float *scale, int blocks) {
  NormArguments arguments{};
  arguments.x = x;
  arguments.weight = weight;
  arguments.y = y;
  arguments.scale = scale;
  arguments.rows = rows;
  arguments.epsilon = epsilon;
  emulation::run(blocks, threads, 0, [&] { norm::normForward(arguments); });
}

inline bool runNormBackward(
    int64_t rows, const void *x, const float *weight, const float *scale, const void *yGradient, void *xGradient,
    float *weightGradient, int blocks) {
  std::vector<float> sums(std::size_t(C) * std::size_t(blocks));
  NormArguments arguments{};
  arguments.x = x;
  arguments.weight = weight;
  arguments.savedScale = scale;
  arguments.yGradient = yGradient;
  arguments.xGradient = xGradient;
  arguments.sums = sums.data();
  arguments.weightGradient = weightGradient;
  arguments.rows = rows;
  arguments.blocks = blocks;
  const bool isWithin = emulation::run(blocks, threads, C * 4, [&] { norm::normBackward(arguments); });
  emulation::run(2, threads, 0, [&] { norm::normAddToGradients(arguments); });
  return isWithin;
}

const emulation::NormProgram program{C, WB_ELEMENT_BYTES, runNorm, runNormBackward};

}  // namespace ckernels::cuda

#undef ckernels
#undef WB_RATE
#undef WB_SLOTS
#undef WB_WIDTH
#undef WB_ELEMENT_BYTES
#undef WB_DYNAMIC
#undef WB_DEVICE
#undef WB_KERNEL
#undef WB_ARGUMENTS
