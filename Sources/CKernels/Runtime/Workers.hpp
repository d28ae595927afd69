// Worker threads that take part in one job after another. No job waits for a worker that comes late.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "Runtime/Prefetcher.hpp"
#include "Runtime/SpinBackoff.hpp"

namespace ckernels {

/// Threads that take part in the jobs of a calling thread. A job is posted in a word of memory that they poll; between jobs
/// they prefetch what the next one reads, and after a short time without a job they sleep.
///
/// A job ends when its work is done, not when all workers have come: a worker that gets no core in time takes no part, and
/// only a worker that has begun is waited for. Therefore `work` must complete the job on any subset of the threads that
/// includes thread 0.
class Workers {
 public:
  typedef void (*Work)(void *context, int thread);

  /// Reserves the process's workers for the calling thread while it lives, unless another thread has them.
  class Use {
   public:
    /// For jobs on up to `threads` threads, the caller's included.
    explicit Use(int threads);
    ~Use();
    Use(const Use &) = delete;
    Workers *operator->() const { return workers; }
    explicit operator bool() const { return workers; }

   private:
    Workers *workers = nullptr;
  };

  /// Calls `work` on up to `threads` threads, the caller as thread 0, and waits until it is done. `rows` are the rows that
  /// the job reads, if known.
  void run(int threads, Work work, void *context, const RowsRead *rows);

 private:
  /// The progress of one worker, on cache lines of its own.
  struct Worker {
    alignas(64) std::atomic<std::uint64_t> state{0};
    alignas(64) Sleeper sleeper;
  };

  /// The stage of a worker in a job; `closed` keeps a late worker out of it.
  enum Stage : std::uint64_t { finished, entered, closed };
  static std::uint64_t state(std::uint64_t job, Stage stage) { return job << 2 | stage; }

  // A job's number and its threads in one word.
  static std::uint64_t posting(std::uint64_t job, int threads) { return job << 8 | std::uint64_t(threads); }
  static std::uint64_t job(std::uint64_t posting) { return posting >> 8; }
  static int threadsOf(std::uint64_t posting) { return int(posting & 0xff); }

  void serve(int thread);
  std::uint64_t nextPosting(std::uint64_t seen, int thread, Prefetcher &prefetcher);
  void finish(Worker &worker);
  void grow(int threads);

  std::atomic<bool> isTaken{false};
  std::atomic<std::uint64_t> posted{0};
  std::uint64_t jobs = 0;
  Work work = nullptr;
  void *context = nullptr;
  bool prefetches = false;
  RowsRead nextRows;
  Prefetcher prefetcher;  ///< of the caller
  PrefetchPredictor predictor;
  Sleeper caller;
  int count = 1;  ///< including the caller
  std::unique_ptr<Worker> workers[maximumThreads];
};

/// The number of processors on which this process may run.
int usefulThreads();

}  // namespace ckernels
