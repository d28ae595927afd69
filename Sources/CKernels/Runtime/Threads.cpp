#include "Runtime/Threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "Runtime/Contention.hpp"
#include "Runtime/Denormals.hpp"
#include "Runtime/OpenMP.hpp"
#include "Runtime/Workers.hpp"

namespace ckernels {
namespace {

/// While it exists, OpenMP regions on this thread have one thread.
class OneThread {
 public:
  OneThread() : pool(OpenMP::inProcess()), before(pool.isComplete() ? pool.maximumThreads() : 0) {
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

struct WorkerTeam {
  Workers::Use workers;
  int threads;
  std::optional<OneThread> operators;

  explicit WorkerTeam(int threads) : workers(threads), threads(threads) {
    if (workers) operators.emplace();
  }
};

/// The calling thread's team, or null. A plain pointer, because every job reads it.
thread_local WorkerTeam *workerTeam = nullptr;

struct ShareTeam {
  int threads;
  void (*body)(void *, int, int);
  void *context;
  std::atomic<int> begun[maximumThreads];  ///< how many shares of each thread have begun

  // A thread begins with its own shares, which are consecutive, so that the hardware prefetches the next one. Then it takes
  // shares of other threads that have not begun.
  void work(int thread) {
    if (thread >= threads) return;
    for (int i = 0; i < threads; i++) {
      const int owner = (thread + i) % threads;
      for (int share; (share = begun[owner].fetch_add(1, std::memory_order_relaxed)) < Shares::ofThread;)
        body(context, thread, owner * Shares::ofThread + share);
    }
  }
};

/// What is left of a thread's range, [first, last) in one word: other threads take from its end.
struct alignas(64) Rest {
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
  Rest rests[maximumThreads];

  /// Works through a thread's rest from its beginning: a quarter at a time, so that others can take the end, but at least a
  /// piece.
  void finish(int thread) {
    Rest &own = rests[thread];
    std::uint64_t range = own.range.load(std::memory_order_relaxed);
    while (Rest::count(range) > 0) {
      const std::uint32_t count = Rest::count(range), first = Rest::first(range);
      const std::uint32_t next = first + std::min(std::max(count / 4 / piece * piece, piece), count);
      if (!own.range.compare_exchange_weak(range, Rest::packed(next, Rest::last(range)), std::memory_order_relaxed))
        continue;
      body(context, thread, first, next);
      range = own.range.load(std::memory_order_relaxed);
    }
  }

  /// Takes the second half of the largest rest, in whole pieces; false if nothing is left.
  bool takeFromAnother(Rest &own) {
    for (;;) {
      Rest *victim = &own;
      std::uint64_t largest = 0;
      for (int other = 0; other < threads; other++) {
        const std::uint64_t range = rests[other].range.load(std::memory_order_relaxed);
        if (Rest::count(range) > Rest::count(largest)) {
          largest = range;
          victim = &rests[other];
        }
      }
      const std::uint32_t count = Rest::count(largest);
      if (count == 0) return false;
      const std::uint32_t middle = Rest::last(largest) - std::min(std::max(count / 2 / piece * piece, piece), count);
      if (victim->range.compare_exchange_strong(
              largest, Rest::packed(Rest::first(largest), middle), std::memory_order_relaxed)) {
        own.range.store(Rest::packed(middle, Rest::last(largest)), std::memory_order_relaxed);
        return true;
      }
    }
  }

  // Rests of threads that do not take part are taken like any others, so everything is done.
  void work(int thread) {
    if (thread >= threads) return;
    do finish(thread);
    while (takeFromAnother(rests[thread]));
  }
};

/// Calls `work(context, thread)` on this thread, as thread 0, and on up to `threads` - 1 others. `work` must complete the
/// job on any number of threads.
void onThreads(int threads, Workers::Work work, void *context, const RowsRead *rows = nullptr) {
  DenormalsAreZero guard;
  if (workerTeam) return workerTeam->workers->run(threads, work, context, rows);
  const OpenMP &pool = OpenMP::inProcess();
  if (!pool.isComplete() || (areCoresContended() && !pool.isInParallel())) {
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

}  // namespace

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
  threads = int(std::min<std::int64_t>({threads, count / piece, maximumThreads}));
  if (threads > 1 && count <= UINT32_MAX) {
    RangeTeam team{std::uint32_t(piece), threads, body, context, {}};
    for (int thread = 0; thread < threads; thread++)
      team.rests[thread].range =
          Rest::packed(std::uint32_t(count * thread / threads), std::uint32_t(count * (thread + 1) / threads));
    return onThreads(threads, work<RangeTeam>, &team, rows);
  }
  DenormalsAreZero guard;
  if (count > 0) body(context, 0, 0, count);
}

bool beginWorkerTeam(int threads) {
  const OpenMP &pool = OpenMP::inProcess();
  if (threads < 2 || workerTeam || (pool.isComplete() && pool.isInParallel())) return false;
  auto team = std::make_unique<WorkerTeam>(threads);
  if (!team->workers) return false;
  workerTeam = team.release();
  return true;
}

void endWorkerTeam() {
  delete workerTeam;
  workerTeam = nullptr;
}

int workerTeamThreads() { return workerTeam ? workerTeam->threads : 0; }

int usefulParts(std::int64_t pieces, std::int64_t work, int threads) {
  constexpr std::int64_t worthWaking = 65536;
  const std::int64_t parts = std::min<std::int64_t>({pieces, work / worthWaking + 1, threads});
  return int(std::max<std::int64_t>(parts, 1));
}

Shares usefulShares(std::int64_t pieces, std::int64_t work, int threads) {
  return {pieces, usefulParts(pieces, work, std::min(threads, maximumThreads))};
}

}  // namespace ckernels
