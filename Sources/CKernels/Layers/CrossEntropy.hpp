// -log softmax of rows of logits at their targets, and its gradient in place of the logits.
#pragma once

#include "SIMD/Reductions.hpp"

namespace ckernels {
namespace CK_CODE {

struct CrossEntropyRun {
  const ck_cross_entropy_args &args;
  Shares shares;  ///< of the rows
};

template <bool Part>
CK_INLINE Vector shiftedExponential(const float *x, Index count, float maximum) {
  Vector power = exponential(loadTile<Part>(x, count) - maximum);
  if constexpr (Part)
    for (Index i = count; i < lanes; i++) power[i] = 0.0f;
  return power;
}

/// The sum of exp(x - maximum). Registers are added up in double every 64 of them: a vocabulary is long.
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

/// x = exp(x - maximum) * scale.
CK_INLINE void scaleExponentials(float *x, Index width, float maximum, float scale) {
  Index c = 0;
  for (; c + lanes <= width; c += lanes) store(x + c, shiftedExponential<false>(x + c, 0, maximum) * scale);
  if (c < width) storePart(x + c, shiftedExponential<true>(x + c, width - c, maximum) * scale, width - c);
}

inline void crossEntropyShare(void *context, int, int share) {
  const CrossEntropyRun &run = *static_cast<const CrossEntropyRun *>(context);
  const ck_cross_entropy_args &args = run.args;
  const Index width = args.width, last = run.shares.first(share + 1);
  for (Index row = run.shares.first(share); row < last; row++) {
    float *x = args.logits + row * width;
    const Index target = Index(args.targets[row]);
    if (target < 0) {
      args.losses[row] = 0;
      if (args.leaves_gradient) std::fill_n(x, width, 0.0f);
      continue;
    }
    const float maximum = maximumOf(x, width);
    const double total = exponentialSum(x, width, maximum);
    args.losses[row] = float(std::log(total) - double(x[target] - maximum));
    if (!args.leaves_gradient) continue;
    scaleExponentials(x, width, maximum, float(double(args.scale) / total));
    x[target] -= args.scale;
  }
}

inline bool crossEntropy(const ck_cross_entropy_args &args, int threads) {
  CrossEntropyRun run{args, usefulShares(args.rows, args.rows * args.width * 4, threads)};
  forEachShare(run.shares, crossEntropyShare, &run);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
