// Root-mean-square normalisation of rows, forward and backward.
#pragma once

struct NormRun {
  const NormJob &job;
  float *sums;      ///< for each share [width] of all its rows, then [width] of the latest few
  Index sumStride;
  Shares shares;  ///< of the rows
};

/// Rows whose weight gradients are summed apart before they join the total: it keeps long sums accurate.
constexpr Index rowsTogether = 64;

template <bool Part>
CK_INLINE void storeTile(float *p, Vector v, Index count) {
  if constexpr (Part)
    storePart(p, v, count);
  else
    store(p, v);
}

CK_INLINE float meanSquare(const float *x, Index width) {
  Vector even = 0.0f, odd = 0.0f;
  Index c = 0;
  for (; c + 2 * lanes <= width; c += 2 * lanes) {
    const Vector a = load(x + c), b = load(x + c + lanes);
    even += a * a;
    odd += b * b;
  }
  for (; c < width; c += lanes) {
    const Vector a = c + lanes <= width ? load(x + c) : loadPart(x + c, width - c);
    even += a * a;
  }
  return sum(even + odd) / float(width);
}

template <bool Part>
CK_INLINE void scaleStep(const NormJob &job, Index row, Index c, Index count, float scale) {
  const Index at = row * job.width + c;
  const Vector x = loadTile<Part>(job.x + at, count), weight = loadTile<Part>(job.weight + c, count);
  storeTile<Part>(job.y + at, x * scale * weight, count);
}

inline void normShare(void *context, int, int share) {
  const NormRun &run = *static_cast<const NormRun *>(context);
  const NormJob &job = run.job;
  const Index width = job.width, last = run.shares.first(share + 1);
  for (Index row = run.shares.first(share); row < last; row++) {
    const float scale = 1.0f / std::sqrt(meanSquare(job.x + row * width, width) + job.epsilon);
    if (job.scale) job.scale[row] = scale;
    Index c = 0;
    for (; c + lanes <= width; c += lanes) scaleStep<false>(job, row, c, 0, scale);
    if (c < width) scaleStep<true>(job, row, c, width - c, scale);
  }
}

/// x * y * weight, whose sum along the row is what the norm takes back.
template <bool Part>
CK_INLINE Vector alongStep(const NormJob &job, Index row, Index c, Index count) {
  const Index at = row * job.width + c;
  return loadTile<Part>(job.x + at, count) * loadTile<Part>(job.yGradient + at, count) *
         loadTile<Part>(job.weight + c, count);
}

template <bool Part>
CK_INLINE void gradientStep(
    const NormJob &job, float *weightSum, Index row, Index c, Index count, float scale, float takenBack) {
  const Index at = row * job.width + c;
  const Vector x = loadTile<Part>(job.x + at, count), g = loadTile<Part>(job.yGradient + at, count) * scale;
  storeTile<Part>(job.xGradient + at, g * loadTile<Part>(job.weight + c, count) - x * takenBack, count);
  if (weightSum) storeTile<Part>(weightSum + c, loadTile<Part>(weightSum + c, count) + g * x, count);
}

CK_INLINE void gradientRow(const NormJob &job, float *weightSum, Index row) {
  const Index width = job.width;
  const float scale = job.savedScale[row];
  Vector along = 0.0f;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) along += alongStep<false>(job, row, c, 0);
  if (c < width) along += alongStep<true>(job, row, c, width - c);
  const float takenBack = sum(along) * scale * scale * scale / float(width);
  for (c = 0; c + lanes <= width; c += lanes) gradientStep<false>(job, weightSum, row, c, 0, scale, takenBack);
  if (c < width) gradientStep<true>(job, weightSum, row, c, width - c, scale, takenBack);
}

inline void normBackwardShare(void *context, int, int share) {
  const NormRun &run = *static_cast<const NormRun *>(context);
  const NormJob &job = run.job;
  float *total = run.sums ? run.sums + 2 * run.sumStride * share : nullptr;
  float *latest = total ? total + run.sumStride : nullptr;
  if (total) std::fill_n(total, run.sumStride, 0.0f);
  const Index last = run.shares.first(share + 1);
  for (Index row = run.shares.first(share); row < last;) {
    if (latest) std::fill_n(latest, run.sumStride, 0.0f);
    const Index end = std::min(row + rowsTogether, last);
    for (; row < end; row++) gradientRow(job, latest, row);
    if (latest)
      for (Index c = 0; c < job.width; c++) total[c] += latest[c];
  }
}

inline bool norm(const NormJob &job, int threads) {
  NormRun run{job, nullptr, 0, usefulShares(job.rows, job.rows * job.width * 2, threads)};
  forEachShare(run.shares, normShare, &run);
  return true;
}

inline bool normBackward(const NormJob &job, int threads) {
  NormRun run{job, nullptr, (job.width + 15) / 16 * 16, usefulShares(job.rows, job.rows * job.width * 4, threads)};
  if (job.weightGradient) {
    run.sums = scratch(std::size_t(2 * run.sumStride * run.shares.count()));
    if (!run.sums) return false;
  }
  forEachShare(run.shares, normBackwardShare, &run);
  if (job.weightGradient)
    for (int share = 0; share < run.shares.count(); share++)
      for (Index c = 0; c < job.width; c++) job.weightGradient[c] += run.sums[2 * run.sumStride * share + c];
  return true;
}
