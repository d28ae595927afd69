#include "Threads.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

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

struct Team {
  int parts;
  void (*body)(void *, int);
  void *context;
  std::atomic<int> next{0};
};

// The pool may hand out fewer threads than asked for (inside another parallel region it gives one), so each thread
// takes every threadCount-th part: all parts are done, and what a part computes stays the same.
void work(void *context) {
  const Team &team = *static_cast<const Team *>(context);
  DenormalsAreZero guard;
  const int step = pool().threadCount();
  for (int part = pool().threadNumber(); part < team.parts; part += step) team.body(team.context, part);
}

// Each thread takes the next part when it is done with one.
void workAsItComes(void *context) {
  Team &team = *static_cast<Team *>(context);
  DenormalsAreZero guard;
  for (int part; (part = team.next.fetch_add(1, std::memory_order_relaxed)) < team.parts;)
    team.body(team.context, part);
}

void run(Team &team, int threads, void (*work)(void *)) {
  if (threads > 1 && team.parts > 1 && pool().isComplete()) return pool().parallel(work, &team, unsigned(threads), 0);
  DenormalsAreZero guard;
  for (int part = 0; part < team.parts; part++) team.body(team.context, part);
}

}  // namespace

void forEachPart(int parts, void (*body)(void *context, int part), void *context) {
  Team team{parts, body, context};
  run(team, parts, work);
}

void forEachPartAsItComes(int parts, int threads, void (*body)(void *context, int part), void *context) {
  Team team{parts, body, context};
  run(team, threads, workAsItComes);
}

int usefulParts(std::int64_t pieces, std::int64_t work, int threads) {
  constexpr std::int64_t worthWaking = 65536;
  const std::int64_t parts = std::min<std::int64_t>({pieces, work / worthWaking + 1, threads});
  return int(std::max<std::int64_t>(parts, 1));
}

}  // namespace ckernels
