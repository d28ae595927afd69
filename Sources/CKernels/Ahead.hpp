// Fetching the next block's memory while this one's is worked on, a little at every step of every product: what is
// asked for in bursts waits for the few misses that a core can have under way.
#pragma once

/// Runs of memory that are soon to be read or written, fetched evenly over as many steps as the block before took.
class Ahead {
 public:
  /// What a loop fetches: each step touches two addresses and moves them on. It asks nowhere whether a run has ended:
  /// its stride is such that it does with the loop or after it.
  struct Stream {
    const char *first, *second;
    Index stride;

    /// Fetches nothing: `here` is memory that the loop reads anyway.
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

  /// Begins a block of `tokens` tokens from `token` on, which `following` more come after.
  void begin(Index token, Index tokens, Index following) {
    next = token + tokens;
    nextTokens = following;
    lastSteps = steps;
    steps = position = bytes = 0;
    runCount = at = 0;
  }

  /// The next block's part of an array with `width` floats a token; none of a null one.
  void add(const float *array, Index width) {
    if (array) addRun(array + next * width, nextTokens * width);
  }

  /// What else the next block reads or writes; none of null.
  void addRun(const float *first, Index count) {
    if (!first || nextTokens <= 0) return;
    // The two halves of a run are fetched side by side.
    const Index half = count * Index(sizeof(float)) / 2;
    runs[runCount++] = {reinterpret_cast<const char *>(first), half};
    bytes += half;
    // A step that moved on by more than a line would leave lines out.
    constexpr Index line = 64;
    stride = lastSteps > 0 ? std::min(bytes / lastSteps + 1, line) : line;
  }

  /// What the next `count` steps fetch.
  CK_INLINE Stream take(Index count) {
    steps += count;
    if (at == runCount) return Stream::none(this);
    const Run &run = runs[at];
    const char *first = run.first + position;
    if (position + stride * count < run.half) {
      position += stride * count;
      return {first, first + run.half, stride};
    }
    // The end of a run is reached in shorter steps, so that nothing of the next one is left out.
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
