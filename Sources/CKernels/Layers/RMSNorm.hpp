// Root-mean-square normalization of rows, forward and backward.
#pragma once

#include "Layers/GradientSums.hpp"
#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

CK_INLINE void rmsNormRow(const ck_rms_norm_args &args, Index row) {
  const Index width = args.width;
  const float *x = args.x + row * width, *weight = args.weight;
  float *y = args.y + row * width;
  const float scale = 1.0f / std::sqrt(meanSquare(x, width) + args.epsilon);
  if (args.scale) args.scale[row] = scale;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    storeTile<isPart>(y + c, loadTile<isPart>(x + c, count) * scale * loadTile<isPart>(weight + c, count), count);
  });
}

CK_INLINE void rmsNormGradientRow(const ck_rms_norm_backward_args &args, Index row, float *sums) {
  const Index width = args.width;
  const float *x = args.x + row * width, *upstream = args.y_gradient + row * width, *weight = args.weight;
  float *gradient = args.x_gradient + row * width;
  const bool hasSums = args.weight_gradient != nullptr;
  const float scale = args.scale[row];
  // The sum of x * y gradient * weight along the row gives the gradient of the scale.
  Vector along = 0.0f;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    const Vector product =
        loadTile<isPart>(x + c, count) * loadTile<isPart>(upstream + c, count) * loadTile<isPart>(weight + c, count);
    along += product;
  });
  const float projection = sum(along) * scale * scale * scale / float(width);
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    const Vector value = loadTile<isPart>(x + c, count), g = loadTile<isPart>(upstream + c, count) * scale;
    storeTile<isPart>(gradient + c, g * loadTile<isPart>(weight + c, count) - value * projection, count);
    if (hasSums) storeTile<isPart>(sums + c, loadTile<isPart>(sums + c, count) + g * value, count);
  });
}

inline bool rmsNorm(const ck_rms_norm_args &args, int threads) {
  return forEachRow<rmsNormRow>(args, args.rows, args.rows * args.width * 2, threads);
}

inline bool rmsNormBackward(const ck_rms_norm_backward_args &args, int threads) {
  const Index sums = args.weight_gradient ? args.width : 0;
  GradientRun<ck_rms_norm_backward_args> run(args, args.rows, args.rows * args.width * 4, sums, threads);
  if (!run.memory) return false;
  run.forEachRow<rmsNormGradientRow>();
  if (args.weight_gradient) run.addTo(args.weight_gradient, args.width);
  return true;
}

}  // namespace ckernels::CK_CODE
