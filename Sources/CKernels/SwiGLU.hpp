// silu(gate) * up, element by element, forward and backward.
#pragma once

struct SwiGLURun {
  const SwiGLUJob &job;
  Shares shares;  ///< of whole registers, so that one share alone has a ragged end

  Index first(int share) const { return std::min(shares.first(share) * lanes, Index(job.count)); }
};

template <bool Part>
CK_INLINE void swigluStep(const SwiGLUJob &job, Index at, Index count) {
  const Vector gate = loadTile<Part>(job.gate + at, count);
  storeTile<Part>(job.product + at, gate * logistic(gate) * loadTile<Part>(job.up + at, count), count);
}

template <bool Part>
CK_INLINE void swigluGradientStep(const SwiGLUJob &job, Index at, Index count) {
  const Vector gate = loadTile<Part>(job.gate + at, count), up = loadTile<Part>(job.up + at, count);
  const Vector upstream = loadTile<Part>(job.productGradient + at, count), open = logistic(gate);
  const Vector silu = gate * open;
  storeTile<Part>(job.gateGradient + at, upstream * up * (open + silu * (1.0f - open)), count);
  storeTile<Part>(job.upGradient + at, upstream * silu, count);
  storeTile<Part>(job.product + at, silu * up, count);
}

inline void swigluShare(void *context, int, int share) {
  const SwiGLURun &run = *static_cast<const SwiGLURun *>(context);
  const Index last = run.first(share + 1);
  Index at = run.first(share);
  for (; at + lanes <= last; at += lanes) swigluStep<false>(run.job, at, 0);
  if (at < last) swigluStep<true>(run.job, at, last - at);
}

inline void swigluBackwardShare(void *context, int, int share) {
  const SwiGLURun &run = *static_cast<const SwiGLURun *>(context);
  const Index last = run.first(share + 1);
  Index at = run.first(share);
  for (; at + lanes <= last; at += lanes) swigluGradientStep<false>(run.job, at, 0);
  if (at < last) swigluGradientStep<true>(run.job, at, last - at);
}

inline bool swiglu(const SwiGLUJob &job, int threads) {
  SwiGLURun run{job, usefulShares((Index(job.count) + lanes - 1) / lanes, job.count * 4, threads)};
  forEachShare(run.shares, job.productGradient ? swigluBackwardShare : swigluShare, &run);
  return true;
}
