// Normalisation of neighbouring channels to zero mean and unit variance, forward and backward.
#pragma once

struct GroupRun {
  const GroupNormJob &job;
  float *sums;      ///< for each share: the weight's and the bias's gradients of all its rows, then of the latest few
  Index sumStride;  ///< floats of one of the two
  Shares shares;  ///< of the rows
};

CK_INLINE float mean(const float *x, Index width) {
  Vector total = 0.0f;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) total += load(x + c);
  if (c < width) total += loadPart(x + c, width - c);
  return sum(total) / float(width);
}

template <bool Part>
CK_INLINE Vector squareStep(const float *x, Index count, float mean) {
  Vector distance = loadTile<Part>(x, count) - mean;
  if constexpr (Part)
    for (Index i = count; i < lanes; i++) distance[i] = 0.0f;
  return distance * distance;
}

CK_INLINE float variance(const float *x, Index width, float mean) {
  Vector total = 0.0f;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) total += squareStep<false>(x + c, 0, mean);
  if (c < width) total += squareStep<true>(x + c, width - c, mean);
  return sum(total) / float(width);
}

template <bool Part>
CK_INLINE void affineStep(
    const GroupNormJob &job, const float *x, float *y, Index channel, Index count, float mean, float scale) {
  const Vector normal = (loadTile<Part>(x, count) - mean) * scale;
  storeTile<Part>(
      y, normal * loadTile<Part>(job.weight + channel, count) + loadTile<Part>(job.bias + channel, count), count);
}

inline void groupNormShare(void *context, int, int share) {
  const GroupRun &run = *static_cast<const GroupRun *>(context);
  const GroupNormJob &job = run.job;
  const Index width = job.width, groups = job.groups, last = run.shares.first(share + 1) * groups;
  for (Index row = run.shares.first(share) * groups; row < last; row++) {
    const float *x = job.x + row * width;
    const float center = mean(x, width);
    const float scale = 1.0f / std::sqrt(variance(x, width, center) + job.epsilon);
    job.statistics[2 * row] = center;
    job.statistics[2 * row + 1] = scale;
    const Index first = row % groups * width;
    Index c = 0;
    for (; c + lanes <= width; c += lanes)
      affineStep<false>(job, x + c, job.y + row * width + c, first + c, 0, center, scale);
    if (c < width) affineStep<true>(job, x + c, job.y + row * width + c, first + c, width - c, center, scale);
  }
}

/// The sums along a row of the gradient that reaches its normal form, and of its product with that.
struct Along {
  Vector plain = 0.0f, product = 0.0f;

  template <bool Part>
  CK_INLINE void add(const GroupNormJob &job, Index at, Index channel, Index count, float scale, float center) {
    const Vector inner = loadTile<Part>(job.yGradient + at, count) * loadTile<Part>(job.weight + channel, count);
    plain += inner;
    // What lies beyond the row has no gradient, so that its false normal form counts for nothing.
    product += inner * ((loadTile<Part>(job.x + at, count) - center) * scale);
  }
};

template <bool Part>
CK_INLINE void groupGradientStep(
    const GroupNormJob &job, float *sums, Index sumStride, Index at, Index channel, Index count, float center,
    float scale, float plain, float product) {
  const Vector upstream = loadTile<Part>(job.yGradient + at, count);
  const Vector normal = (loadTile<Part>(job.x + at, count) - center) * scale;
  const Vector inner = upstream * loadTile<Part>(job.weight + channel, count);
  storeTile<Part>(job.xGradient + at, (inner - plain - normal * product) * scale, count);
  float *weight = sums + channel, *bias = weight + sumStride;
  storeTile<Part>(weight, loadTile<Part>(weight, count) + upstream * normal, count);
  storeTile<Part>(bias, loadTile<Part>(bias, count) + upstream, count);
}

CK_INLINE void groupGradientRow(const GroupNormJob &job, float *sums, Index sumStride, Index row) {
  const Index width = job.width, first = row % job.groups * width, start = row * width;
  const float center = job.savedStatistics[2 * row], scale = job.savedStatistics[2 * row + 1];
  Along along;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) along.add<false>(job, start + c, first + c, 0, scale, center);
  if (c < width) along.add<true>(job, start + c, first + c, width - c, scale, center);
  const float plain = sum(along.plain) / float(width), product = sum(along.product) / float(width);
  for (c = 0; c + lanes <= width; c += lanes)
    groupGradientStep<false>(job, sums, sumStride, start + c, first + c, 0, center, scale, plain, product);
  if (c < width)
    groupGradientStep<true>(job, sums, sumStride, start + c, first + c, width - c, center, scale, plain, product);
}

inline void groupNormBackwardShare(void *context, int, int share) {
  const GroupRun &run = *static_cast<const GroupRun *>(context);
  const GroupNormJob &job = run.job;
  float *total = run.sums + 4 * run.sumStride * share, *latest = total + 2 * run.sumStride;
  std::fill_n(total, 2 * run.sumStride, 0.0f);
  const Index together = rowsTogether * job.groups, last = run.shares.first(share + 1) * job.groups;
  for (Index row = run.shares.first(share) * job.groups; row < last;) {
    std::fill_n(latest, 2 * run.sumStride, 0.0f);
    const Index end = std::min(row + together, last);
    for (; row < end; row++) groupGradientRow(job, latest, run.sumStride, row);
    for (Index c = 0; c < 2 * run.sumStride; c++) total[c] += latest[c];
  }
}

inline bool groupNorm(const GroupNormJob &job, int threads) {
  const Index numbers = job.rows * job.groups * job.width;
  GroupRun run{job, nullptr, 0, usefulShares(job.rows, numbers * 3, threads)};
  forEachShare(run.shares, groupNormShare, &run);
  return true;
}

inline bool groupNormBackward(const GroupNormJob &job, int threads) {
  const Index channels = job.groups * job.width;
  GroupRun run{job, nullptr, (channels + 15) / 16 * 16, usefulShares(job.rows, job.rows * channels * 5, threads)};
  run.sums = scratch(std::size_t(4 * run.sumStride * run.shares.count()));
  if (!run.sums) return false;
  forEachShare(run.shares, groupNormBackwardShare, &run);
  for (int share = 0; share < run.shares.count(); share++) {
    const float *sums = run.sums + 4 * run.sumStride * share;
    for (Index c = 0; c < channels; c++) {
      job.weightGradient[c] += sums[c];
      job.biasGradient[c] += sums[run.sumStride + c];
    }
  }
  return true;
}
