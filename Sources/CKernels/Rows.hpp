// Rows sent to places of their own and gathered again, as a mixture of experts does it with tokens.
#pragma once

struct RowsRun {
  const RowsJob &job;
  Shares shares;  ///< of the pieces

  const int64_t *places(Index token) const { return job.places + token * Index(job.perToken); }
  float scale(Index sending) const { return job.scales ? job.scales[sending] : 1.0f; }
};

template <bool Part>
CK_INLINE void spreadStep(const float *x, float *out, Index at, Index count, float scale) {
  storeTile<Part>(out + at, loadTile<Part>(x + at, count) * scale, count);
}

inline void spreadRowsShare(void *context, int, int share) {
  const RowsRun &run = *static_cast<const RowsRun *>(context);
  const RowsJob &job = run.job;
  const Index width = Index(job.width), last = run.shares.first(share + 1);
  for (Index row = run.shares.first(share); row < last; row++) {
    float *out = job.out + row * width;
    const Index sending = Index(job.places[row]);
    if (sending < 0) {
      std::fill_n(out, width, 0.0f);
      continue;
    }
    const float *x = job.x + sending / Index(job.perToken) * width;
    const float scale = run.scale(sending);
    Index at = 0;
    for (; at + lanes <= width; at += lanes) spreadStep<false>(x, out, at, 0, scale);
    if (at < width) spreadStep<true>(x, out, at, width - at, scale);
  }
}

template <bool Part>
CK_INLINE void gatherStep(const RowsRun &run, Index token, Index at, Index count) {
  const RowsJob &job = run.job;
  const Index perToken = Index(job.perToken), width = Index(job.width);
  const int64_t *places = run.places(token);
  Vector sum = 0.0f;
  for (Index k = 0; k < perToken; k++)
    sum += loadTile<Part>(job.rows + Index(places[k]) * width + at, count) * run.scale(token * perToken + k);
  storeTile<Part>(job.out + token * width + at, sum, count);
}

inline void gatherRowsShare(void *context, int, int share) {
  const RowsRun &run = *static_cast<const RowsRun *>(context);
  const Index width = Index(run.job.width), last = run.shares.first(share + 1);
  for (Index token = run.shares.first(share); token < last; token++) {
    Index at = 0;
    for (; at + lanes <= width; at += lanes) gatherStep<false>(run, token, at, 0);
    if (at < width) gatherStep<true>(run, token, at, width - at);
  }
}

CK_INLINE float innerProduct(const float *a, const float *b, Index width) {
  Vector total = 0.0f;
  Index at = 0;
  for (; at + lanes <= width; at += lanes) total += load(a + at) * load(b + at);
  if (at < width) total += loadPart(a + at, width - at) * loadPart(b + at, width - at);
  return sum(total);
}

inline void rowProductsShare(void *context, int, int share) {
  const RowsRun &run = *static_cast<const RowsRun *>(context);
  const RowsJob &job = run.job;
  const Index width = Index(job.width), perToken = Index(job.perToken), last = run.shares.first(share + 1);
  for (Index token = run.shares.first(share); token < last; token++)
    for (Index k = 0; k < perToken; k++)
      job.out[token * perToken + k] =
          innerProduct(job.x + token * width, job.rows + Index(run.places(token)[k]) * width, width);
}

inline bool moveRows(const RowsJob &job, int threads) {
  RowsRun run{job, usefulShares(job.pieces, job.pieces * job.width * 4, threads)};
  const bool spreads = !job.rows, multiplies = job.rows && job.x;
  forEachShare(run.shares, spreads ? spreadRowsShare : multiplies ? rowProductsShare : gatherRowsShare, &run);
  return true;
}
