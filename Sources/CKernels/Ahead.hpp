// Fetching the next block's memory while this one's is worked on, a line at a time: in one burst it would only stall.
#pragma once

/// Up to five runs of memory that are soon to be read or written.
struct Ahead {
  static constexpr Index line = 16;
  const float *at = nullptr, *end = nullptr;
  struct Run {
    const float *at, *end;
  };
  Run later[4];
  int laterCount = 0;
  Index linesPerStep = 1;

  void add(const float *first, Index count) {
    if (count <= 0) return;
    if (at == end) {
      at = first;
      end = first + count;
    } else {
      later[laterCount++] = {first, first + count};
    }
  }

  /// Spreads what is left over `steps` calls of `step`.
  void spread(Index steps) {
    Index lines = (end - at) / line + 1;
    for (int i = 0; i < laterCount; i++) lines += (later[i].end - later[i].at) / line + 1;
    linesPerStep = at == end ? 0 : (lines + steps - 1) / steps;
  }

  CK_INLINE void step() {
    if (at >= end && !turn()) return;
    const float *last = at + linesPerStep * line;
    for (; at < last; at += line) __builtin_prefetch(at);
  }

 private:
  /// Goes on to the next run. Inlined: a call would push a product's sums out of the registers.
  CK_INLINE bool turn() {
    if (laterCount == 0) return false;
    at = later[--laterCount].at;
    end = later[laterCount].end;
    return true;
  }
};
