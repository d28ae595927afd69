#include "Threads.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "Standby.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ckernels {
namespace {

/// While it lives, this thread's vector unit reads and writes denormal numbers as zero: a single operation on one
/// can cost hundreds of ordinary ones.
class DenormalsAreZero {
 public:
#if defined(__x86_64__)
  DenormalsAreZero() : saved(_mm_getcsr()) { _mm_setcsr(saved | 0x8040u); }
  ~DenormalsAreZero() { _mm_setcsr(saved); }

 private:
  unsigned saved;
#elif defined(__aarch64__)
  DenormalsAreZero() {
    asm volatile("mrs %0, fpcr" : "=r"(saved));
    asm volatile("msr fpcr, %0" : : "r"(saved | (std::uint64_t(1) << 24)));
  }
  ~DenormalsAreZero() { asm volatile("msr fpcr, %0" : : "r"(saved)); }

 private:
  std::uint64_t saved;
#endif
};

/// The three entry points of GNU's OpenMP interface, which LLVM's library offers too.
struct Pool {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned) = nullptr;
  int (*threadNumber)() = nullptr;
  int (*threadCount)() = nullptr;

  Pool() {
    auto find = [](const char *name) { return dlsym(RTLD_DEFAULT, name); };
    parallel = reinterpret_cast<decltype(parallel)>(find("GOMP_parallel"));
    threadNumber = reinterpret_cast<decltype(threadNumber)>(find("omp_get_thread_num"));
    threadCount = reinterpret_cast<decltype(threadCount)>(find("omp_get_num_threads"));
  }

  bool isComplete() const { return parallel && threadNumber && threadCount; }
};

const Pool &pool() {
  static const Pool found;
  return found;
}

/// The threads that stand by for what this thread shares out; null for none.
thread_local Standby *standby = nullptr;

/// What this thread's calls have read, one after another.
Followers &followers() {
  thread_local std::unique_ptr<Followers> followers;
  if (!followers) followers = std::make_unique<Followers>();
  return *followers;
}

struct Team {
  int parts;
  void (*body)(void *, int);
  void *context;

  // The pool may hand out fewer threads than asked for (inside another parallel region it gives one), so each thread
  // takes every so many-th part: all parts are done, and what a part computes stays the same.
  void work(int thread, int threads) const {
    for (int part = thread; part < parts; part += threads) body(context, part);
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

/// Calls `work(context, thread, threads)` on threads of the pool, on those that stand by where some do.
void onThreads(int threads, void (*work)(void *, int, int), void *context, const RowsRead *rows = nullptr) {
  if (standby) {
    DenormalsAreZero guard;
    return standby->run(work, context, rows);
  }
  struct Call {
    void (*work)(void *, int, int);
    void *context;
  } call{work, context};
  auto take = [](void *context) {
    DenormalsAreZero guard;
    const Call &call = *static_cast<const Call *>(context);
    call.work(call.context, pool().threadNumber(), pool().threadCount());
  };
  pool().parallel(take, &call, unsigned(threads), 0);
}

struct StandingBy {
  void (*body)(void *);
  void *context;
  Standby standby;
};

void standingBy(void *context) {
  StandingBy &call = *static_cast<StandingBy *>(context);
  if (const int thread = pool().threadNumber(); thread > 0) {
    DenormalsAreZero guard;
    return call.standby.serve(thread, pool().threadCount());
  }
  call.standby.open(pool().threadCount());
  standby = &call.standby;
  call.body(call.context);
  standby = nullptr;
  call.standby.dismiss();
}

}  // namespace

void forEachPart(int parts, void (*body)(void *context, int part), void *context) {
  Team team{parts, body, context};
  auto work = [](void *context, int thread, int threads) { static_cast<const Team *>(context)->work(thread, threads); };
  if (parts > 1 && pool().isComplete()) return onThreads(parts, work, &team);
  DenormalsAreZero guard;
  team.work(0, 1);
}

void forEachShare(const Shares &shares, void (*body)(void *context, int thread, int share), void *context) {
  if (shares.threads > 1 && pool().isComplete()) {
    ShareTeam team{shares.threads, body, context, {}};
    auto work = [](void *context, int thread, int) { static_cast<ShareTeam *>(context)->work(thread); };
    return onThreads(shares.threads, work, &team);
  }
  DenormalsAreZero guard;
  for (int share = 0; share < shares.count(); share++) body(context, 0, share);
}

void forEachRange(
    std::int64_t count, std::int64_t piece, int threads,
    void (*body)(void *context, int thread, std::int64_t first, std::int64_t last), void *context,
    const RowsRead *rows) {
  threads = int(std::min<std::int64_t>({threads, count / piece, mostThreads}));
  if (threads > 1 && count <= UINT32_MAX && pool().isComplete()) {
    RangeTeam team{std::uint32_t(piece), threads, body, context, {}};
    for (int thread = 0; thread < threads; thread++)
      team.left[thread].range = Left::packed(
          std::uint32_t(count * thread / threads), std::uint32_t(count * (thread + 1) / threads));
    auto work = [](void *context, int thread, int) { static_cast<RangeTeam *>(context)->work(thread); };
    return onThreads(threads, work, &team, rows);
  }
  DenormalsAreZero guard;
  if (count > 0) body(context, 0, 0, count);
}

void standBy(int threads, void (*body)(void *context), void *context) {
  if (threads < 2 || standby || !pool().isComplete()) return body(context);
  StandingBy call{body, context, Standby(followers())};
  pool().parallel(standingBy, &call, unsigned(threads), 0);
}

int usefulParts(std::int64_t pieces, std::int64_t work, int threads) {
  constexpr std::int64_t worthWaking = 65536;
  const std::int64_t parts = std::min<std::int64_t>({pieces, work / worthWaking + 1, threads});
  return int(std::max<std::int64_t>(parts, 1));
}

Shares usefulShares(std::int64_t pieces, std::int64_t work, int threads) {
  return {pieces, usefulParts(pieces, work, std::min(threads, mostThreads))};
}

}  // namespace ckernels
