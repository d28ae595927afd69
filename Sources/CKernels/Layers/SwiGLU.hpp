// silu(gate) * up, element by element, forward and backward.
#pragma once

#include "SIMD/Vector.hpp"

namespace ckernels {
namespace CK_CODE {

template <class Args>
struct SwiGLURun {
  const Args &args;
  Shares shares;  ///< of whole registers, so that only the last share can end within a register

  SwiGLURun(const Args &args, int threads)
      : args(args), shares(usefulShares((Index(args.count) + lanes - 1) / lanes, args.count * 4, threads)) {}

  Index first(int share) const { return std::min(shares.first(share) * lanes, Index(args.count)); }
};

template <bool Part>
CK_INLINE void swigluStep(const ck_swiglu_args &args, Index at, Index count) {
  const Vector gate = loadTile<Part>(args.gate + at, count);
  storeTile<Part>(args.product + at, gate * logistic(gate) * loadTile<Part>(args.up + at, count), count);
}

template <bool Part>
CK_INLINE void swigluStep(const ck_swiglu_backward_args &args, Index at, Index count) {
  const Vector gate = loadTile<Part>(args.gate + at, count), up = loadTile<Part>(args.up + at, count);
  const Vector upstream = loadTile<Part>(args.product_gradient + at, count), sigmoid = logistic(gate);
  const Vector silu = gate * sigmoid;
  storeTile<Part>(args.gate_gradient + at, upstream * up * (sigmoid + silu * (1.0f - sigmoid)), count);
  storeTile<Part>(args.up_gradient + at, upstream * silu, count);
  storeTile<Part>(args.product + at, silu * up, count);
}

template <class Args>
void swigluShare(void *context, int, int share) {
  const SwiGLURun<Args> &run = *static_cast<const SwiGLURun<Args> *>(context);
  const Index last = run.first(share + 1);
  Index at = run.first(share);
  for (; at + lanes <= last; at += lanes) swigluStep<false>(run.args, at, 0);
  if (at < last) swigluStep<true>(run.args, at, last - at);
}

inline bool swiglu(const ck_swiglu_args &args, int threads) {
  SwiGLURun<ck_swiglu_args> run(args, threads);
  forEachShare(run.shares, swigluShare<ck_swiglu_args>, &run);
  return true;
}

inline bool swigluBackward(const ck_swiglu_backward_args &args, int threads) {
  SwiGLURun<ck_swiglu_backward_args> run(args, threads);
  forEachShare(run.shares, swigluShare<ck_swiglu_backward_args>, &run);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
