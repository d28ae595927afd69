#include "Runtime/Workers.hpp"

#include <algorithm>
#include <system_error>
#include <thread>

#include "Runtime/Denormals.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

namespace ckernels {

int usefulThreads() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(CPU_COUNT(&set), 1);
#endif
  return std::max(int(std::thread::hardware_concurrency()), 1);
}

Workers::Use::Use(int threads) {
  // Never destroyed: its threads live as long as the process.
  static Workers &shared = *new Workers;
  if (shared.isTaken.exchange(true, std::memory_order_acquire)) return;
  workers = &shared;
  workers->grow(threads);
}

Workers::Use::~Use() {
  if (workers) workers->isTaken.store(false, std::memory_order_release);
}

/// There are no more threads than processors: they would wait for one another. A job is split the same for any number.
void Workers::grow(int threads) {
  static const int limit = std::min(usefulThreads(), maximumThreads);
  for (threads = std::min(threads, limit); count < threads; count++) {
    workers[count] = std::make_unique<Worker>();
    try {
      std::thread([this, thread = count] { serve(thread); }).detach();
    } catch (const std::system_error &) {
      return;
    }
  }
}

void Workers::run(int threads, Work work, void *context, const RowsRead *rows) {
  threads = std::min(threads, count);
  this->work = work;
  this->context = context;
  prefetches = rows != nullptr;
  if (rows) nextRows = predictor.next(*rows);
  jobs++;
  posted.store(posting(jobs, threads), std::memory_order_seq_cst);
  for (int thread = 1; thread < threads; thread++) workers[thread]->sleeper.wake();
  work(context, 0);
  if (prefetches) prefetcher.start(nextRows, 0, threads);
  for (int thread = 1; thread < threads; thread++) finish(*workers[thread]);
}

/// Waits until a worker has finished its part of the job, or closes the job for it.
void Workers::finish(Worker &worker) {
  const std::uint64_t working = state(jobs, entered), done = state(jobs, finished);
  std::uint64_t seen = worker.state.load(std::memory_order_acquire);
  while (seen != done && seen != working)
    if (worker.state.compare_exchange_weak(seen, state(jobs, closed), std::memory_order_acquire)) return;
  for (SpinBackoff backoff; seen == working; seen = worker.state.load(std::memory_order_acquire)) {
    if (prefetcher.step() || backoff.pause()) continue;
    caller.sleep([&] { return worker.state.load(std::memory_order_seq_cst) != working; });
  }
}

std::uint64_t Workers::nextPosting(std::uint64_t seen, int thread, Prefetcher &prefetcher) {
  auto isForIt = [&](std::uint64_t posting) { return posting != seen && thread < threadsOf(posting); };
  std::uint64_t found;
  for (SpinBackoff backoff; !isForIt(found = posted.load(std::memory_order_acquire));) {
    if (prefetcher.step() || backoff.pause()) continue;
    workers[thread]->sleeper.sleep([&] { return isForIt(found = posted.load(std::memory_order_seq_cst)); });
    return found;
  }
  return found;
}

void Workers::serve(int thread) {
  const DenormalsAreZero guard;
  Worker &worker = *workers[thread];
  Prefetcher prefetcher;
  for (std::uint64_t posting = 0;;) {
    posting = nextPosting(posting, thread, prefetcher);
    std::uint64_t before = worker.state.load(std::memory_order_relaxed);
    // Later jobs may have begun and ended meanwhile: only the state of an earlier job may be replaced.
    if (before >= state(job(posting), entered) ||
        !worker.state.compare_exchange_strong(before, state(job(posting), entered), std::memory_order_acquire))
      continue;
    // The caller does not change the job until this worker has finished.
    const int threads = threadsOf(posting);
    work(context, thread);
    if (prefetches) prefetcher.start(nextRows, thread, threads);
    worker.state.store(state(job(posting), finished), std::memory_order_seq_cst);
    caller.wake();
  }
}

}  // namespace ckernels
