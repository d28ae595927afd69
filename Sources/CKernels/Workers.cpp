#include "Workers.hpp"

#include <algorithm>
#include <system_error>
#include <thread>

#include "Denormals.hpp"

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

/// More threads than processors would only wait for one another: what a job is dealt out in does not depend on how many
/// come.
void Workers::grow(int threads) {
  static const int most = std::min(usefulThreads(), mostThreads);
  for (threads = std::min(threads, most); count < threads; count++) {
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
  aims = rows != nullptr;
  if (rows) ahead = followers.note(*rows);
  jobs++;
  posted.store(posting(jobs, threads), std::memory_order_seq_cst);
  for (int thread = 1; thread < threads; thread++) workers[thread]->bed.wake();
  work(context, 0);
  if (aims) fetching.aim(ahead, 0, threads);
  for (int thread = 1; thread < threads; thread++) finish(*workers[thread]);
}

/// Waits until a worker is done with its part of the job, or keeps it from taking one.
void Workers::finish(Worker &worker) {
  const std::uint64_t within = state(jobs, entered), done = state(jobs, finished);
  std::uint64_t seen = worker.state.load(std::memory_order_acquire);
  while (seen != done && seen != within)
    if (worker.state.compare_exchange_weak(seen, state(jobs, closed), std::memory_order_acquire)) return;
  for (Patience patience; seen == within; seen = worker.state.load(std::memory_order_acquire)) {
    if (fetching.step() || patience.wait()) continue;
    callers.sleep([&] { return worker.state.load(std::memory_order_seq_cst) != within; });
  }
}

std::uint64_t Workers::nextPosting(std::uint64_t seen, int thread, Fetching &fetching) {
  auto isForIt = [&](std::uint64_t posting) { return posting != seen && thread < threadsOf(posting); };
  std::uint64_t found;
  for (Patience patience; !isForIt(found = posted.load(std::memory_order_acquire));) {
    if (fetching.step() || patience.wait()) continue;
    workers[thread]->bed.sleep([&] { return isForIt(found = posted.load(std::memory_order_seq_cst)); });
    return found;
  }
  return found;
}

void Workers::serve(int thread) {
  const DenormalsAreZero guard;
  Worker &worker = *workers[thread];
  Fetching fetching;
  for (std::uint64_t posting = 0;;) {
    posting = nextPosting(posting, thread, fetching);
    std::uint64_t before = worker.state.load(std::memory_order_relaxed);
    // One that was slow to look may find that jobs have come and gone: only what an earlier one left may be replaced.
    if (before >= state(job(posting), entered) ||
        !worker.state.compare_exchange_strong(before, state(job(posting), entered), std::memory_order_acquire))
      continue;
    // From here until it says that it is done the caller waits, and leaves the job as it is.
    const int threads = threadsOf(posting);
    work(context, thread);
    if (aims) fetching.aim(ahead, thread, threads);
    worker.state.store(state(job(posting), finished), std::memory_order_seq_cst);
    callers.wake();
  }
}

}  // namespace ckernels
