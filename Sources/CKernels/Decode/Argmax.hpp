// The index of a row's largest element, for greedy decoding.
#pragma once

#include "SIMD/Reductions.hpp"

namespace ckernels {
namespace CK_CODE {

struct ArgmaxRun {
  const ck_argmax_args &args;
  int parts;
};

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

inline void argmaxPart(void *context, int part) {
  const ArgmaxRun &run = *static_cast<const ArgmaxRun *>(context);
  const ck_argmax_args &args = run.args;
  for (Index row = args.rows * part / run.parts; row < args.rows * (part + 1) / run.parts; row++)
    args.indices[row] = argmaxOf(args.x + row * args.width, args.width);
}

inline bool argmax(const ck_argmax_args &args, int threads) {
  ArgmaxRun run{args, usefulParts(args.rows, args.rows * args.width, threads)};
  forEachPart(run.parts, argmaxPart, &run);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
