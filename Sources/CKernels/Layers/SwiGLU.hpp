// silu(gate) * up, element by element, forward and backward.
#pragma once

#include "SIMD/Loops.hpp"

namespace ckernels::CK_CODE {

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
bool runSwiGLU(const Args &args, int threads) {
  const Index count = args.count;
  // Of whole registers, so that only the last share can end within one.
  const Shares shares = usefulShares((count + lanes - 1) / lanes, count * 4, threads);
  forEachShare(shares, [&](int, int share) {
    const Index first = shares.first(share) * lanes, last = std::min<Index>(shares.first(share + 1) * lanes, count);
    forEachRegister(
        first, last, [&args = args](auto isPart, Index at, Index left) { swigluStep<isPart>(args, at, left); });
  });
  return true;
}

inline bool swiglu(const ck_swiglu_args &args, int threads) { return runSwiGLU(args, threads); }

inline bool swigluBackward(const ck_swiglu_backward_args &args, int threads) { return runSwiGLU(args, threads); }

}  // namespace ckernels::CK_CODE
