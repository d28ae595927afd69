// Root-mean-square normalization of rows, forward and backward.
#pragma once

#include "Layers/GradientSums.hpp"
#include "SIMD/Reductions.hpp"

namespace ckernels {
namespace CK_CODE {

struct RMSNormRun {
  const ck_rms_norm_args &args;
  Shares shares;  ///< of the rows
};

template <bool Part>
CK_INLINE void rmsNormStep(const ck_rms_norm_args &args, Index row, Index c, Index count, float scale) {
  const Index at = row * args.width + c;
  const Vector x = loadTile<Part>(args.x + at, count), weight = loadTile<Part>(args.weight + c, count);
  storeTile<Part>(args.y + at, x * scale * weight, count);
}

inline void rmsNormShare(void *context, int, int share) {
  const RMSNormRun &run = *static_cast<const RMSNormRun *>(context);
  const ck_rms_norm_args &args = run.args;
  const Index width = args.width, last = run.shares.first(share + 1);
  for (Index row = run.shares.first(share); row < last; row++) {
    const float scale = 1.0f / std::sqrt(meanSquare(args.x + row * width, width) + args.epsilon);
    if (args.scale) args.scale[row] = scale;
    Index c = 0;
    for (; c + lanes <= width; c += lanes) rmsNormStep<false>(args, row, c, 0, scale);
    if (c < width) rmsNormStep<true>(args, row, c, width - c, scale);
  }
}

struct RMSNormBackwardRun {
  const ck_rms_norm_backward_args &args;
  Shares shares;  ///< of the rows
  GradientSums sums;
};

/// x * y gradient * weight: its sum along the row gives the gradient of the scale.
template <bool Part>
CK_INLINE Vector rmsNormProjection(const ck_rms_norm_backward_args &args, Index row, Index c, Index count) {
  const Index at = row * args.width + c;
  return loadTile<Part>(args.x + at, count) * loadTile<Part>(args.y_gradient + at, count) *
         loadTile<Part>(args.weight + c, count);
}

template <bool Part>
CK_INLINE void rmsNormGradientStep(
    const ck_rms_norm_backward_args &args, float *weightSum, Index row, Index c, Index count, float scale,
    float projection) {
  const Index at = row * args.width + c;
  const Vector x = loadTile<Part>(args.x + at, count), g = loadTile<Part>(args.y_gradient + at, count) * scale;
  storeTile<Part>(args.x_gradient + at, g * loadTile<Part>(args.weight + c, count) - x * projection, count);
  if (weightSum) storeTile<Part>(weightSum + c, loadTile<Part>(weightSum + c, count) + g * x, count);
}

CK_INLINE void rmsNormGradientRow(const ck_rms_norm_backward_args &args, float *weightSum, Index row) {
  const Index width = args.width;
  const float scale = args.scale[row];
  Vector along = 0.0f;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) along += rmsNormProjection<false>(args, row, c, 0);
  if (c < width) along += rmsNormProjection<true>(args, row, c, width - c);
  const float projection = sum(along) * scale * scale * scale / float(width);
  for (c = 0; c + lanes <= width; c += lanes) rmsNormGradientStep<false>(args, weightSum, row, c, 0, scale, projection);
  if (c < width) rmsNormGradientStep<true>(args, weightSum, row, c, width - c, scale, projection);
}

inline void rmsNormBackwardShare(void *context, int, int share) {
  const RMSNormBackwardRun &run = *static_cast<const RMSNormBackwardRun *>(context);
  const ck_rms_norm_backward_args &args = run.args;
  const bool hasSums = args.weight_gradient != nullptr;
  float *total = hasSums ? run.sums.total(share) : nullptr, *latest = hasSums ? run.sums.latest(share) : nullptr;
  if (total) std::fill_n(total, run.sums.stride, 0.0f);
  const Index last = run.shares.first(share + 1);
  for (Index row = run.shares.first(share); row < last;) {
    if (latest) std::fill_n(latest, run.sums.stride, 0.0f);
    const Index end = std::min(row + rowsTogether, last);
    for (; row < end; row++) rmsNormGradientRow(args, latest, row);
    if (latest)
      for (Index c = 0; c < args.width; c++) total[c] += latest[c];
  }
}

inline bool rmsNorm(const ck_rms_norm_args &args, int threads) {
  RMSNormRun run{args, usefulShares(args.rows, args.rows * args.width * 2, threads)};
  forEachShare(run.shares, rmsNormShare, &run);
  return true;
}

inline bool rmsNormBackward(const ck_rms_norm_backward_args &args, int threads) {
  RMSNormBackwardRun run{args, usefulShares(args.rows, args.rows * args.width * 4, threads), GradientSums(args.width)};
  if (args.weight_gradient && !run.sums.allocate(run.shares)) return false;
  forEachShare(run.shares, rmsNormBackwardShare, &run);
  if (args.weight_gradient) run.sums.addTo(args.weight_gradient, run.shares, args.width);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
