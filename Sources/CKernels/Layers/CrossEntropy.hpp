// -log softmax of rows of logits at their targets, and its gradient in place of the logits.
#pragma once

#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

template <bool Part>
CK_INLINE Vector shiftedExponential(const float *x, Index count, float maximum) {
  return firstOf<Part>(exponential(loadTile<Part>(x, count) - maximum), count);
}

/// The sum of e^(x - maximum). A row is long, so sums of 64 registers in float are added up in double.
CK_INLINE double exponentialSum(const float *x, Index width, float maximum) {
  double total = 0;
  Index c = 0;
  while (c + lanes <= width) {
    Vector some = 0.0f;
    const Index end = std::min(c + 64 * lanes, width - width % lanes);
    for (; c < end; c += lanes) some += shiftedExponential<false>(x + c, 0, maximum);
    total += sum(some);
  }
  if (c < width) total += sum(shiftedExponential<true>(x + c, width - c, maximum));
  return total;
}

/// x = e^(x - maximum) * scale.
CK_INLINE void scaleExponentials(float *x, Index width, float maximum, float scale) {
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    storeTile<isPart>(x + c, shiftedExponential<isPart>(x + c, count, maximum) * scale, count);
  });
}

inline void crossEntropyRow(const ck_cross_entropy_args &args, Index row) {
  const Index width = args.width, target = Index(args.targets[row]);
  float *x = args.logits + row * width;
  if (target < 0) {
    args.losses[row] = 0;
    if (args.leaves_gradient) std::fill_n(x, width, 0.0f);
    return;
  }
  const float maximum = maximumOf(x, width);
  const double total = exponentialSum(x, width, maximum);
  args.losses[row] = float(std::log(total) - double(x[target] - maximum));
  if (!args.leaves_gradient) return;
  scaleExponentials(x, width, maximum, float(double(args.scale) / total));
  x[target] -= args.scale;
}

inline bool crossEntropy(const ck_cross_entropy_args &args, int threads) {
  return forEachRow<crossEntropyRow>(args, args.rows, args.rows * args.width * 4, threads);
}

}  // namespace ckernels::CK_CODE
