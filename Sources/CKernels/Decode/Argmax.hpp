// The index of a row's largest element, for greedy decoding.
#pragma once

#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

/// The first index of the largest element; -1 if an element is not finite.
inline Index argmaxOf(const float *x, Index width) {
  // Few enough to be still in the nearest cache for the second pass over them.
  constexpr Index together = 512;
  Index index = 0;
  float maximum = x[0];
  for (Index first = 0; first < width; first += together) {
    const Index count = std::min(together, width - first);
    if (!areFinite(x + first, count)) return -1;
    const float local = maximumOf(x + first, count);
    if (local > maximum) {
      maximum = local;
      index = first;
    }
  }
  while (x[index] != maximum) index++;
  return index;
}

inline void argmaxRow(const ck_argmax_args &args, Index row) {
  args.indices[row] = argmaxOf(args.x + row * args.width, args.width);
}

inline bool argmax(const ck_argmax_args &args, int threads) {
  return forEachRow<argmaxRow>(args, args.rows, args.rows * args.width, threads);
}

}  // namespace ckernels::CK_CODE
