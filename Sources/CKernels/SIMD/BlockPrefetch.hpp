// Prefetching the memory of the next block while this one is computed, a little at every step of every product: a burst of
// prefetches would wait for the few misses that a core can have in flight.
#pragma once

#include "SIMD/Vector.hpp"

namespace ckernels::CK_CODE {

/// Ranges of memory that the next block reads or writes, prefetched evenly over as many steps as the block before took.
class BlockPrefetch {
 public:
  /// The prefetches of one loop: each step prefetches two addresses and advances them. It never tests for the end of a
  /// range: the stride is chosen so that the range ends with the loop or after it.
  struct Stream {
    const char *first, *second;
    Index stride;

    /// Prefetches nothing new: `here` is memory that the loop reads anyway.
    CK_INLINE static Stream none(const void *here) {
      const char *at = static_cast<const char *>(here);
      return {at, at, 0};
    }

    CK_INLINE void step() {
      __builtin_prefetch(first);
      __builtin_prefetch(second);
      first += stride;
      second += stride;
    }
  };

  /// Begins a block of `tokens` tokens from `token` on; the next block has `following` tokens.
  void begin(Index token, Index tokens, Index following) {
    next = token + tokens;
    nextTokens = following;
    lastSteps = steps;
    steps = position = bytes = 0;
    runCount = at = 0;
  }

  /// Adds the next block's part of an array with `width` floats a token; ignores a null array.
  void add(const float *array, Index width) {
    if (array) addRun(array + next * width, nextTokens * width);
  }

  /// Adds a range that the next block reads or writes; ignores null.
  void addRun(const float *first, Index count) {
    if (!first || nextTokens <= 0) return;
    // The two halves of a range are prefetched in parallel.
    const Index half = count * Index(sizeof(float)) / 2;
    runs[runCount++] = {reinterpret_cast<const char *>(first), half};
    bytes += half;
    // A step longer than a cache line would leave lines out.
    constexpr Index line = 64;
    stride = lastSteps > 0 ? std::min(bytes / lastSteps + 1, line) : line;
  }

  /// The prefetches of the next `count` steps.
  CK_INLINE Stream take(Index count) {
    steps += count;
    if (at == runCount) return Stream::none(this);
    const Run &run = runs[at];
    const char *first = run.first + position;
    if (position + stride * count < run.half) {
      position += stride * count;
      return {first, first + run.half, stride};
    }
    // The end of a range is reached in shorter steps, so that the next range is not cut short.
    const Index left = run.half - position;
    position = 0;
    at++;
    steps -= count - left / stride;
    return {first, first + run.half, left / count + 1};
  }

 private:
  struct Run {
    const char *first;
    Index half;
  };
  Run runs[8];
  int runCount = 0, at = 0;
  Index next = 0, nextTokens = 0;
  Index position = 0, bytes = 0, stride = 0;
  Index steps = 0, lastSteps = 0;
};

}  // namespace ckernels::CK_CODE
