// Normalization of groups of channels to zero mean and unit variance, forward and backward.
#pragma once

#include "Layers/GradientSums.hpp"
#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

CK_INLINE float mean(const float *x, Index width) {
  Vector total = 0.0f;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) { total += loadTile<isPart>(x + c, count); });
  return sum(total) / float(width);
}

CK_INLINE float variance(const float *x, Index width, float mean) {
  Vector total = 0.0f;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    const Vector distance = firstOf<isPart>(loadTile<isPart>(x + c, count) - mean, count);
    const Vector square = distance * distance;
    total += square;
  });
  return sum(total) / float(width);
}

CK_INLINE void groupNormRow(const ck_group_norm_args &args, Index row) {
  const Index width = args.width, groups = args.groups;
  for (Index group = 0; group < groups; group++) {
    const Index index = row * groups + group;
    const float *x = args.x + index * width, *weight = args.weight + group * width, *bias = args.bias + group * width;
    float *y = args.y + index * width;
    const float center = mean(x, width);
    const float scale = 1.0f / std::sqrt(variance(x, width, center) + args.epsilon);
    args.statistics[2 * index] = center;
    args.statistics[2 * index + 1] = scale;
    forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
      const Vector normal = (loadTile<isPart>(x + c, count) - center) * scale;
      storeTile<isPart>(y + c, normal * loadTile<isPart>(weight + c, count) + loadTile<isPart>(bias + c, count), count);
    });
  }
}

/// Group `index` of all groups of all rows. `sums` are those of its weights, and those of its biases `biasOffset` later.
CK_INLINE void groupGradient(const ck_group_norm_backward_args &args, Index index, float *sums, Index biasOffset) {
  const Index width = args.width, start = index * width;
  const float *x = args.x + start, *upstream = args.y_gradient + start;
  const float *weight = args.weight + index % args.groups * width;
  float *gradient = args.x_gradient + start;
  const float center = args.statistics[2 * index], scale = args.statistics[2 * index + 1];
  // Of the gradient of the normalized group: its sum, and the sum of its product with the normalized group.
  Vector sumOfGradients = 0.0f, sumOfProducts = 0.0f;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    const Vector inner = loadTile<isPart>(upstream + c, count) * loadTile<isPart>(weight + c, count);
    sumOfGradients += inner;
    // Lanes past the group have a zero gradient, so that their false normalized values add nothing.
    sumOfProducts += inner * ((loadTile<isPart>(x + c, count) - center) * scale);
  });
  const float plain = sum(sumOfGradients) / float(width), product = sum(sumOfProducts) / float(width);
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    const Vector slope = loadTile<isPart>(upstream + c, count);
    const Vector normal = (loadTile<isPart>(x + c, count) - center) * scale;
    const Vector inner = slope * loadTile<isPart>(weight + c, count);
    storeTile<isPart>(gradient + c, (inner - plain - normal * product) * scale, count);
    float *weightSums = sums + c, *biasSums = weightSums + biasOffset;
    storeTile<isPart>(weightSums, loadTile<isPart>(weightSums, count) + slope * normal, count);
    storeTile<isPart>(biasSums, loadTile<isPart>(biasSums, count) + slope, count);
  });
}

using GroupNormGradients = GradientRun<ck_group_norm_backward_args>;

CK_INLINE void groupNormGradientRow(const ck_group_norm_backward_args &args, Index row, float *sums) {
  const Index biasOffset = GroupNormGradients::padded(args.groups * args.width);
  for (Index group = 0; group < args.groups; group++)
    groupGradient(args, row * args.groups + group, sums + group * args.width, biasOffset);
}

inline bool groupNorm(const ck_group_norm_args &args, int threads) {
  return forEachRow<groupNormRow>(args, args.rows, args.rows * args.groups * args.width * 3, threads);
}

inline bool groupNormBackward(const ck_group_norm_backward_args &args, int threads) {
  const Index channels = args.groups * args.width, biasOffset = GroupNormGradients::padded(channels);
  GroupNormGradients run(args, args.rows, args.rows * channels * 5, 2 * biasOffset, threads);
  if (!run.memory) return false;
  run.forEachRow<groupNormGradientRow>();
  run.addTo(args.weight_gradient, channels);
  run.addTo(args.bias_gradient, channels, biasOffset);
  return true;
}

}  // namespace ckernels::CK_CODE
