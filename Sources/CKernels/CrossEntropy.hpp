// -log softmax of rows of logits at their targets, and its gradient in the logits' place.
#pragma once

struct CrossEntropyRun {
  const CrossEntropyJob &job;
  Shares shares;  ///< of the rows
};

CK_INLINE float largestOf(const float *x, Index width) {
  float largest = x[0];
  Vector all = largest;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) {
    const Vector v = load(x + c);
    all = v > all ? v : all;
  }
  for (int i = 0; i < lanes; i++) largest = all[i] > largest ? all[i] : largest;
  for (; c < width; c++) largest = x[c] > largest ? x[c] : largest;
  return largest;
}

template <bool Part>
CK_INLINE Vector powerStep(const float *x, Index count, float largest) {
  Vector power = exponential(loadTile<Part>(x, count) - largest);
  if constexpr (Part)
    for (Index i = count; i < lanes; i++) power[i] = 0.0f;
  return power;
}

/// The sum of exp(x - largest). Registers are added up in double now and then: a vocabulary is long.
CK_INLINE double powerSum(const float *x, Index width, float largest) {
  double total = 0;
  Index c = 0;
  while (c + lanes <= width) {
    Vector some = 0.0f;
    const Index end = std::min(c + 64 * lanes, width - width % lanes);
    for (; c < end; c += lanes) some += powerStep<false>(x + c, 0, largest);
    total += sum(some);
  }
  if (c < width) total += sum(powerStep<true>(x + c, width - c, largest));
  return total;
}

CK_INLINE void leaveGradient(float *x, Index width, float largest, float scale) {
  Index c = 0;
  for (; c + lanes <= width; c += lanes) store(x + c, powerStep<false>(x + c, 0, largest) * scale);
  if (c < width) storePart(x + c, powerStep<true>(x + c, width - c, largest) * scale, width - c);
}

inline void crossEntropyShare(void *context, int, int share) {
  const CrossEntropyRun &run = *static_cast<const CrossEntropyRun *>(context);
  const CrossEntropyJob &job = run.job;
  const Index width = job.width, last = run.shares.first(share + 1);
  for (Index row = run.shares.first(share); row < last; row++) {
    float *x = job.logits + row * width;
    const Index target = Index(job.targets[row]);
    if (target < 0) {
      job.losses[row] = 0;
      if (job.leavesGradient) std::fill_n(x, width, 0.0f);
      continue;
    }
    const float largest = largestOf(x, width);
    const double total = powerSum(x, width, largest);
    job.losses[row] = float(std::log(total) - double(x[target] - largest));
    if (!job.leavesGradient) continue;
    leaveGradient(x, width, largest, float(double(job.scale) / total));
    x[target] -= job.scale;
  }
}

inline bool crossEntropy(const CrossEntropyJob &job, int threads) {
  CrossEntropyRun run{job, usefulShares(job.rows, job.rows * job.width * 4, threads)};
  forEachShare(run.shares, crossEntropyShare, &run);
  return true;
}
