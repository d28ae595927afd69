// Root-mean-square normalisation of a head's channels and their rotation by the angles of the token's position,
// forward and backward.
#pragma once

struct RotaryRun {
  const RotaryNormJob &job;
  float *sums;  ///< for each share [width] of all its rows, then [width] of the latest few
  Index sumStride;
  Shares shares;  ///< of the tokens
};

/// Where a head lies, and the angles that turn it.
struct Head {
  Index at;
  const float *cosine, *sine;

  CK_INLINE Head(const RotaryNormJob &job, Index token, Index head)
      : at((token * job.heads + head) * job.width),
        cosine(job.cosine + token % job.period * job.width),
        sine(job.sine + token % job.period * job.width) {}
};

template <bool Part>
CK_INLINE void turnStep(const RotaryNormJob &job, const Head &head, Index c, Index count, float scale) {
  const Index half = job.width / 2, d = c + half;
  const Vector a = loadTile<Part>(job.x + head.at + c, count) * loadTile<Part>(job.weight + c, count) * scale;
  const Vector b = loadTile<Part>(job.x + head.at + d, count) * loadTile<Part>(job.weight + d, count) * scale;
  storeTile<Part>(
      job.y + head.at + c,
      a * loadTile<Part>(head.cosine + c, count) - b * loadTile<Part>(head.sine + c, count), count);
  storeTile<Part>(
      job.y + head.at + d,
      b * loadTile<Part>(head.cosine + d, count) + a * loadTile<Part>(head.sine + d, count), count);
}

inline void rotaryNormShare(void *context, int, int share) {
  const RotaryRun &run = *static_cast<const RotaryRun *>(context);
  const RotaryNormJob &job = run.job;
  const Index half = job.width / 2, last = run.shares.first(share + 1);
  for (Index token = run.shares.first(share); token < last; token++)
    for (Index h = 0; h < job.heads; h++) {
      const Head head(job, token, h);
      const float scale = 1.0f / std::sqrt(meanSquare(job.x + head.at, job.width) + job.epsilon);
      job.scale[token * job.heads + h] = scale;
      Index c = 0;
      for (; c + lanes <= half; c += lanes) turnStep<false>(job, head, c, 0, scale);
      if (c < half) turnStep<true>(job, head, c, half - c, scale);
    }
}

/// The gradients of a channel and of its partner before they were turned.
struct Turned {
  Vector first, second;
};

template <bool Part>
CK_INLINE Turned turnBack(const RotaryNormJob &job, const Head &head, Index c, Index count) {
  const Index d = c + job.width / 2;
  const Vector first = loadTile<Part>(job.yGradient + head.at + c, count);
  const Vector second = loadTile<Part>(job.yGradient + head.at + d, count);
  return {
      first * loadTile<Part>(head.cosine + c, count) + second * loadTile<Part>(head.sine + d, count),
      second * loadTile<Part>(head.cosine + d, count) - first * loadTile<Part>(head.sine + c, count)};
}

template <bool Part>
CK_INLINE Vector turnedAlong(const RotaryNormJob &job, const Head &head, Index c, Index count) {
  const Index d = c + job.width / 2;
  const Turned g = turnBack<Part>(job, head, c, count);
  return loadTile<Part>(job.x + head.at + c, count) * g.first * loadTile<Part>(job.weight + c, count) +
         loadTile<Part>(job.x + head.at + d, count) * g.second * loadTile<Part>(job.weight + d, count);
}

template <bool Part>
CK_INLINE void turnedChannel(
    const RotaryNormJob &job, float *sums, Index at, Index c, Index count, Vector gradient, float scale,
    float takenBack) {
  const Vector x = loadTile<Part>(job.x + at + c, count), g = gradient * scale;
  storeTile<Part>(job.xGradient + at + c, g * loadTile<Part>(job.weight + c, count) - x * takenBack, count);
  storeTile<Part>(sums + c, loadTile<Part>(sums + c, count) + g * x, count);
}

template <bool Part>
CK_INLINE void turnedStep(
    const RotaryNormJob &job, float *sums, const Head &head, Index c, Index count, float scale, float takenBack) {
  const Turned g = turnBack<Part>(job, head, c, count);
  turnedChannel<Part>(job, sums, head.at, c, count, g.first, scale, takenBack);
  turnedChannel<Part>(job, sums, head.at, c + job.width / 2, count, g.second, scale, takenBack);
}

CK_INLINE void turnedHead(const RotaryNormJob &job, float *sums, Index token, Index h) {
  const Head head(job, token, h);
  const Index half = job.width / 2;
  const float scale = job.savedScale[token * job.heads + h];
  Vector along = 0.0f;
  Index c = 0;
  for (; c + lanes <= half; c += lanes) along += turnedAlong<false>(job, head, c, 0);
  if (c < half) along += turnedAlong<true>(job, head, c, half - c);
  const float takenBack = sum(along) * scale * scale * scale / float(job.width);
  for (c = 0; c + lanes <= half; c += lanes) turnedStep<false>(job, sums, head, c, 0, scale, takenBack);
  if (c < half) turnedStep<true>(job, sums, head, c, half - c, scale, takenBack);
}

inline void rotaryNormBackwardShare(void *context, int, int share) {
  const RotaryRun &run = *static_cast<const RotaryRun *>(context);
  const RotaryNormJob &job = run.job;
  float *total = run.sums + 2 * run.sumStride * share, *latest = total + run.sumStride;
  std::fill_n(total, run.sumStride, 0.0f);
  const Index last = run.shares.first(share + 1);
  for (Index token = run.shares.first(share); token < last;) {
    std::fill_n(latest, run.sumStride, 0.0f);
    const Index end = std::min(token + rowsTogether, last);
    for (; token < end; token++)
      for (Index h = 0; h < job.heads; h++) turnedHead(job, latest, token, h);
    for (Index c = 0; c < job.width; c++) total[c] += latest[c];
  }
}

inline bool rotaryNorm(const RotaryNormJob &job, int threads) {
  const Index numbers = job.tokens * job.heads * job.width;
  RotaryRun run{job, nullptr, 0, usefulShares(job.tokens, numbers * 4, threads)};
  forEachShare(run.shares, rotaryNormShare, &run);
  return true;
}

inline bool rotaryNormBackward(const RotaryNormJob &job, int threads) {
  const Index numbers = job.tokens * job.heads * job.width;
  RotaryRun run{job, nullptr, (job.width + 15) / 16 * 16, usefulShares(job.tokens, numbers * 8, threads)};
  run.sums = scratch(std::size_t(2 * run.sumStride * run.shares.count()));
  if (!run.sums) return false;
  forEachShare(run.shares, rotaryNormBackwardShare, &run);
  for (int share = 0; share < run.shares.count(); share++)
    for (Index c = 0; c < job.width; c++) job.weightGradient[c] += run.sums[2 * run.sumStride * share + c];
  return true;
}
