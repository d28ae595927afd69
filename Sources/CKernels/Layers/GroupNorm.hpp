// Normalization of groups of channels to zero mean and unit variance, forward and backward.
#pragma once

#include "Layers/GradientSums.hpp"
#include "SIMD/Reductions.hpp"

namespace ckernels {
namespace CK_CODE {

CK_INLINE float mean(const float *x, Index width) {
  Vector total = 0.0f;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) total += load(x + c);
  if (c < width) total += loadPart(x + c, width - c);
  return sum(total) / float(width);
}

template <bool Part>
CK_INLINE Vector squaredDistance(const float *x, Index count, float mean) {
  Vector distance = loadTile<Part>(x, count) - mean;
  if constexpr (Part)
    for (Index i = count; i < lanes; i++) distance[i] = 0.0f;
  return distance * distance;
}

CK_INLINE float variance(const float *x, Index width, float mean) {
  Vector total = 0.0f;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) total += squaredDistance<false>(x + c, 0, mean);
  if (c < width) total += squaredDistance<true>(x + c, width - c, mean);
  return sum(total) / float(width);
}

struct GroupNormRun {
  const ck_group_norm_args &args;
  Shares shares;  ///< of the rows
};

template <bool Part>
CK_INLINE void groupNormStep(
    const ck_group_norm_args &args, const float *x, float *y, Index channel, Index count, float mean, float scale) {
  const Vector normal = (loadTile<Part>(x, count) - mean) * scale;
  storeTile<Part>(
      y, normal * loadTile<Part>(args.weight + channel, count) + loadTile<Part>(args.bias + channel, count), count);
}

// A row of what follows is one group of one row of the arguments.

inline void groupNormShare(void *context, int, int share) {
  const GroupNormRun &run = *static_cast<const GroupNormRun *>(context);
  const ck_group_norm_args &args = run.args;
  const Index width = args.width, groups = args.groups, last = run.shares.first(share + 1) * groups;
  for (Index row = run.shares.first(share) * groups; row < last; row++) {
    const float *x = args.x + row * width;
    const float center = mean(x, width);
    const float scale = 1.0f / std::sqrt(variance(x, width, center) + args.epsilon);
    args.statistics[2 * row] = center;
    args.statistics[2 * row + 1] = scale;
    const Index first = row % groups * width;
    Index c = 0;
    for (; c + lanes <= width; c += lanes)
      groupNormStep<false>(args, x + c, args.y + row * width + c, first + c, 0, center, scale);
    if (c < width) groupNormStep<true>(args, x + c, args.y + row * width + c, first + c, width - c, center, scale);
  }
}

struct GroupNormBackwardRun {
  const ck_group_norm_backward_args &args;
  Shares shares;     ///< of the rows
  Index biasOffset;  ///< of the bias's sums after the weight's
  GradientSums sums;
};

/// Of the gradient of the normalized row: its sum, and the sum of its product with the normalized row.
struct GroupProjections {
  Vector plain = 0.0f, product = 0.0f;

  template <bool Part>
  CK_INLINE void add(
      const ck_group_norm_backward_args &args, Index at, Index channel, Index count, float scale, float center) {
    const Vector inner = loadTile<Part>(args.y_gradient + at, count) * loadTile<Part>(args.weight + channel, count);
    plain += inner;
    // Lanes past the row have a zero gradient, so that their false normalized values add nothing.
    product += inner * ((loadTile<Part>(args.x + at, count) - center) * scale);
  }
};

template <bool Part>
CK_INLINE void groupGradientStep(
    const GroupNormBackwardRun &run, float *sums, Index at, Index channel, Index count, float center, float scale,
    float plain, float product) {
  const ck_group_norm_backward_args &args = run.args;
  const Vector upstream = loadTile<Part>(args.y_gradient + at, count);
  const Vector normal = (loadTile<Part>(args.x + at, count) - center) * scale;
  const Vector inner = upstream * loadTile<Part>(args.weight + channel, count);
  storeTile<Part>(args.x_gradient + at, (inner - plain - normal * product) * scale, count);
  float *weight = sums + channel, *bias = weight + run.biasOffset;
  storeTile<Part>(weight, loadTile<Part>(weight, count) + upstream * normal, count);
  storeTile<Part>(bias, loadTile<Part>(bias, count) + upstream, count);
}

CK_INLINE void groupGradientRow(const GroupNormBackwardRun &run, float *sums, Index row) {
  const ck_group_norm_backward_args &args = run.args;
  const Index width = args.width, first = row % args.groups * width, start = row * width;
  const float center = args.statistics[2 * row], scale = args.statistics[2 * row + 1];
  GroupProjections along;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) along.add<false>(args, start + c, first + c, 0, scale, center);
  if (c < width) along.add<true>(args, start + c, first + c, width - c, scale, center);
  const float plain = sum(along.plain) / float(width), product = sum(along.product) / float(width);
  for (c = 0; c + lanes <= width; c += lanes)
    groupGradientStep<false>(run, sums, start + c, first + c, 0, center, scale, plain, product);
  if (c < width) groupGradientStep<true>(run, sums, start + c, first + c, width - c, center, scale, plain, product);
}

inline void groupNormBackwardShare(void *context, int, int share) {
  const GroupNormBackwardRun &run = *static_cast<const GroupNormBackwardRun *>(context);
  float *total = run.sums.total(share), *latest = run.sums.latest(share);
  std::fill_n(total, run.sums.stride, 0.0f);
  const Index together = rowsTogether * run.args.groups, last = run.shares.first(share + 1) * run.args.groups;
  for (Index row = run.shares.first(share) * run.args.groups; row < last;) {
    std::fill_n(latest, run.sums.stride, 0.0f);
    const Index end = std::min(row + together, last);
    for (; row < end; row++) groupGradientRow(run, latest, row);
    for (Index c = 0; c < run.sums.stride; c++) total[c] += latest[c];
  }
}

inline bool groupNorm(const ck_group_norm_args &args, int threads) {
  const Index elements = args.rows * args.groups * args.width;
  GroupNormRun run{args, usefulShares(args.rows, elements * 3, threads)};
  forEachShare(run.shares, groupNormShare, &run);
  return true;
}

inline bool groupNormBackward(const ck_group_norm_backward_args &args, int threads) {
  const Index channels = args.groups * args.width, biasOffset = (channels + 15) / 16 * 16;
  GroupNormBackwardRun run{
      args, usefulShares(args.rows, args.rows * channels * 5, threads), biasOffset, GradientSums(2 * biasOffset)};
  if (!run.sums.allocate(run.shares)) return false;
  forEachShare(run.shares, groupNormBackwardShare, &run);
  run.sums.addTo(args.weight_gradient, run.shares, channels);
  run.sums.addTo(args.bias_gradient, run.shares, channels, biasOffset);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
