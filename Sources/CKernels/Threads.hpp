// Work sharing on the OpenMP pool the process already has, and the treatment of denormal numbers.
#pragma once

#include <cstdint>

namespace ckernels {

/// Calls `body(context, part)` for every part in 0..<parts, each part on one thread, and waits for all.
/// The pool is the one of the OpenMP library already in the process (libtorch's operators use it): a second pool would
/// fight it for the cores. Without such a library, and where other processes want the cores, `Workers` take part.
void forEachPart(int parts, void (*body)(void *context, int part), void *context);

/// Threads that a job is dealt out among at most, where they take what others have left.
constexpr int mostThreads = 64;

/// How the pieces of a job are dealt out in shares that do not depend on how fast the threads are, so that each may have
/// a result of its own. Every thread has a stretch of its own, in shares that get shorter towards its end: one that is
/// done takes what others have not begun, and all end at about one time.
struct Shares {
  static constexpr int ofStretch = 4;
  std::int64_t pieces;
  int threads;

  int count() const { return threads > 1 ? threads * ofStretch : 1; }

  /// The first piece of a share, which ends where the next one begins.
  std::int64_t first(int share) const {
    if (threads < 2) return share * pieces;
    constexpr int starts[ofStretch] = {0, 4, 6, 7};  // in eighths of a stretch
    return pieces * (8 * (share / ofStretch) + starts[share % ofStretch]) / (8 * threads);
  }
};

/// The shares of `pieces` indivisible pieces and `work` multiplications on up to `threads` threads, or on fewer: see
/// `usefulParts`.
Shares usefulShares(std::int64_t pieces, std::int64_t work, int threads);

/// Calls `body(context, thread, share)` for every share, each on one of `shares.threads` threads, and waits for all.
void forEachShare(const Shares &shares, void (*body)(void *context, int thread, int share), void *context);

/// What a job over a range reads from memory: the numbers of the range are rows of tables, one table behind another.
struct RowsRead {
  struct Table {
    const char *values, *scales;
    std::int64_t rows, stride, scaleStride;
  };
  static constexpr int mostTables = 4;
  std::int64_t count = 0;  ///< rows of all tables, those beyond the last that is told included
  int tableCount = 0;
  Table tables[mostTables];
};

/// Calls `body(context, thread, first, last)` for ranges that make up 0..<count, on up to `threads` threads, and waits for
/// all. Each thread goes through its own stretch from the beginning, `piece` at a time; one that is done takes half of
/// what another has left: cores need not be as fast as one another. For work whose results do not depend on who does it.
/// `rows` is what it reads, where that is worth fetching ahead.
void forEachRange(
    std::int64_t count, std::int64_t piece, int threads,
    void (*body)(void *context, int thread, std::int64_t first, std::int64_t last), void *context,
    const RowsRead *rows = nullptr);

/// Calls `body(context)` on this thread while up to `threads` - 1 workers stand by: they take part in what the functions
/// above share out within, at less cost, and fetch meanwhile what is read next. OpenMP's regions within have one thread.
void standBy(int threads, void (*body)(void *context), void *context);

/// The threads that the innermost `standBy` around this call was given; 0 where there is none.
int threadsStandingBy();

/// How many parts to make of a job of `pieces` indivisible pieces and `work` multiplications: at most `threads`, and
/// fewer where a part would be over before a thread has woken for it.
int usefulParts(std::int64_t pieces, std::int64_t work, int threads);

}  // namespace ckernels
