#include "Threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "Contention.hpp"
#include "Denormals.hpp"
#include "OpenMP.hpp"
#include "Workers.hpp"

namespace ckernels {
namespace {

/// The workers that stand by for what this thread shares out; null for none.
thread_local Workers::Use *standing = nullptr;

struct Team {
  int parts;
  void (*body)(void *, int);
  void *context;
  std::atomic<std::uint64_t> begun{0};  ///< a bit for every 64th part

  // Each thread its own part first, which had what it needs the last time, and then what nobody has begun: fewer threads
  // than asked for do all.
  void work(int thread) {
    constexpr int bits = 64;
    const int groups = std::min(parts, bits);
    for (int i = 0; i < groups; i++) {
      const int group = (thread + i) % groups;
      const std::uint64_t bit = std::uint64_t(1) << group;
      if (begun.load(std::memory_order_relaxed) & bit) continue;
      if (begun.fetch_or(bit, std::memory_order_relaxed) & bit) continue;
      for (int part = group; part < parts; part += bits) body(context, part);
    }
  }
};

struct ShareTeam {
  int threads;
  void (*body)(void *, int, int);
  void *context;
  std::atomic<int> begun[mostThreads];  ///< shares of each thread's stretch

  // Its own stretch first, for a share begins where the one before it ended: what it needs is on its way. Stretches of
  // threads that never came are done like any other.
  void work(int thread) {
    if (thread >= threads) return;
    for (int i = 0; i < threads; i++) {
      const int stretch = (thread + i) % threads;
      for (int share; (share = begun[stretch].fetch_add(1, std::memory_order_relaxed)) < Shares::ofStretch;)
        body(context, thread, stretch * Shares::ofStretch + share);
    }
  }
};

/// What a thread has left of a range: [first, last) in one word, so that others can take from its end.
struct alignas(64) Left {
  std::atomic<std::uint64_t> range{0};

  static std::uint64_t packed(std::uint32_t first, std::uint32_t last) { return std::uint64_t(last) << 32 | first; }
  static std::uint32_t first(std::uint64_t range) { return std::uint32_t(range); }
  static std::uint32_t last(std::uint64_t range) { return std::uint32_t(range >> 32); }
  static std::uint32_t count(std::uint64_t range) { return last(range) - first(range); }
};

struct RangeTeam {
  std::uint32_t piece;
  int threads;
  void (*body)(void *, int, std::int64_t, std::int64_t);
  void *context;
  Left left[mostThreads];

  /// Does what is left for one thread from its beginning, a quarter at a time so that others can help, at least a piece.
  void finish(int thread) {
    Left &own = left[thread];
    std::uint64_t range = own.range.load(std::memory_order_relaxed);
    while (Left::count(range) > 0) {
      const std::uint32_t count = Left::count(range), first = Left::first(range);
      const std::uint32_t next = first + std::min(std::max(count / 4 / piece * piece, piece), count);
      if (!own.range.compare_exchange_weak(range, Left::packed(next, Left::last(range)), std::memory_order_relaxed))
        continue;
      body(context, thread, first, next);
      range = own.range.load(std::memory_order_relaxed);
    }
  }

  /// Takes the second half, in whole pieces, of what another thread has left; false where nobody has anything.
  bool takeFromAnother(Left &own) {
    for (;;) {
      Left *richest = &own;
      std::uint64_t most = 0;
      for (int other = 0; other < threads; other++) {
        const std::uint64_t range = left[other].range.load(std::memory_order_relaxed);
        if (Left::count(range) > Left::count(most)) {
          most = range;
          richest = &left[other];
        }
      }
      const std::uint32_t count = Left::count(most);
      if (count == 0) return false;
      const std::uint32_t middle = Left::last(most) - std::min(std::max(count / 2 / piece * piece, piece), count);
      if (richest->range.compare_exchange_strong(
              most, Left::packed(Left::first(most), middle), std::memory_order_relaxed)) {
        own.range.store(Left::packed(middle, Left::last(most)), std::memory_order_relaxed);
        return true;
      }
    }
  }

  // Fewer threads than asked for still find all of it: what nobody has begun is taken like anything else.
  void work(int thread) {
    if (thread >= threads) return;
    do finish(thread);
    while (takeFromAnother(left[thread]));
  }
};

/// Calls `work(context, thread)` on this thread as thread 0 and on up to `threads` - 1 others, or fewer: all of the work
/// must be done whoever comes.
void onThreads(int threads, Workers::Work work, void *context, const RowsRead *rows = nullptr) {
  DenormalsAreZero guard;
  if (standing) return (*standing)->run(threads, work, context, rows);
  const OpenMP &pool = OpenMP::inProcess();
  if (!pool.isComplete() || (areCoresShared() && !pool.isInParallel())) {
    if (Workers::Use workers{threads}) return workers->run(threads, work, context, rows);
    if (!pool.isComplete()) return work(context, 0);
  }
  struct Call {
    Workers::Work work;
    void *context;
  } call{work, context};
  auto take = [](void *context) {
    DenormalsAreZero guard;
    const Call &call = *static_cast<const Call *>(context);
    call.work(call.context, OpenMP::inProcess().threadNumber());
  };
  pool.parallel(take, &call, unsigned(threads), 0);
}

template <typename Team>
void work(void *context, int thread) {
  static_cast<Team *>(context)->work(thread);
}

/// While it lives, OpenMP gives regions of this thread one thread.
class OneThread {
 public:
  OneThread() : pool(OpenMP::inProcess()), before(pool.isComplete() ? pool.mostThreads() : 0) {
    if (before > 1) pool.setThreads(1);
  }
  ~OneThread() {
    if (before > 1) pool.setThreads(before);
  }
  OneThread(const OneThread &) = delete;

 private:
  const OpenMP &pool;
  const int before;
};

/// The threads of the kernels within a call of `standBy`.
thread_local int standingThreads = 0;

}  // namespace

void forEachPart(int parts, void (*body)(void *context, int part), void *context) {
  Team team{parts, body, context};
  if (parts > 1) return onThreads(parts, work<Team>, &team);
  DenormalsAreZero guard;
  team.work(0);
}

void forEachShare(const Shares &shares, void (*body)(void *context, int thread, int share), void *context) {
  if (shares.threads > 1) {
    ShareTeam team{shares.threads, body, context, {}};
    return onThreads(shares.threads, work<ShareTeam>, &team);
  }
  DenormalsAreZero guard;
  for (int share = 0; share < shares.count(); share++) body(context, 0, share);
}

void forEachRange(
    std::int64_t count, std::int64_t piece, int threads,
    void (*body)(void *context, int thread, std::int64_t first, std::int64_t last), void *context,
    const RowsRead *rows) {
  threads = int(std::min<std::int64_t>({threads, count / piece, mostThreads}));
  if (threads > 1 && count <= UINT32_MAX) {
    RangeTeam team{std::uint32_t(piece), threads, body, context, {}};
    for (int thread = 0; thread < threads; thread++)
      team.left[thread].range = Left::packed(
          std::uint32_t(count * thread / threads), std::uint32_t(count * (thread + 1) / threads));
    return onThreads(threads, work<RangeTeam>, &team, rows);
  }
  DenormalsAreZero guard;
  if (count > 0) body(context, 0, 0, count);
}

void standBy(int threads, void (*body)(void *context), void *context) {
  const OpenMP &pool = OpenMP::inProcess();
  if (threads < 2 || standing || (pool.isComplete() && pool.isInParallel())) return body(context);
  Workers::Use workers(threads);
  if (!workers) return body(context);
  OneThread others;
  standing = &workers;
  standingThreads = threads;
  body(context);
  standing = nullptr;
  standingThreads = 0;
}

int threadsStandingBy() { return standingThreads; }

int usefulParts(std::int64_t pieces, std::int64_t work, int threads) {
  constexpr std::int64_t worthWaking = 65536;
  const std::int64_t parts = std::min<std::int64_t>({pieces, work / worthWaking + 1, threads});
  return int(std::max<std::int64_t>(parts, 1));
}

Shares usefulShares(std::int64_t pieces, std::int64_t work, int threads) {
  return {pieces, usefulParts(pieces, work, std::min(threads, mostThreads))};
}

}  // namespace ckernels
