// Threads that take part in one job after another, and for which no job waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "Fetching.hpp"
#include "Waiting.hpp"

namespace ckernels {

/// Threads beside the caller's that take part in its jobs. A job reaches them by a word of memory that they watch; between
/// jobs they fetch what the next one reads, and when none has come for a while they sleep.
///
/// A job is over when all of its work is done, not when all threads have come: one whose core another process has got takes
/// no part in the job, or is waited for only with what it has begun. Therefore `work` must do all there is on any subset
/// of the threads that has thread 0 in it.
class Workers {
 public:
  typedef void (*Work)(void *context, int thread);

  /// Makes the process's workers the caller's for as long as it lives, unless another thread has them.
  class Use {
   public:
    /// For jobs on up to `threads` threads, with the caller's.
    explicit Use(int threads);
    ~Use();
    Use(const Use &) = delete;
    Workers *operator->() const { return workers; }
    explicit operator bool() const { return workers; }

   private:
    Workers *workers = nullptr;
  };

  /// Calls `work` on up to `threads` threads, the caller's first, and waits until it is done. `rows` is what the job
  /// reads, if it is known.
  void run(int threads, Work work, void *context, const RowsRead *rows);

 private:
  /// How far one worker is with the jobs. Each has its own cache lines: no worker waits for another's.
  struct Worker {
    alignas(64) std::atomic<std::uint64_t> state{0};
    alignas(64) Bed bed;
  };

  /// What a worker's state says of the job of a number.
  enum Stage : std::uint64_t { finished, entered, closed };
  static std::uint64_t state(std::uint64_t job, Stage stage) { return job << 2 | stage; }

  // A job's number and its threads, in one word.
  static std::uint64_t posting(std::uint64_t job, int threads) { return job << 8 | std::uint64_t(threads); }
  static std::uint64_t job(std::uint64_t posting) { return posting >> 8; }
  static int threadsOf(std::uint64_t posting) { return int(posting & 0xff); }

  void serve(int thread);
  std::uint64_t nextPosting(std::uint64_t seen, int thread, Fetching &fetching);
  void finish(Worker &worker);
  void grow(int threads);

  std::atomic<bool> isTaken{false};
  std::atomic<std::uint64_t> posted{0};
  std::uint64_t jobs = 0;
  Work work = nullptr;
  void *context = nullptr;
  bool aims = false;
  RowsRead ahead;
  Fetching fetching;
  Followers followers;
  Bed callers;
  int count = 1;  ///< with the caller
  std::unique_ptr<Worker> workers[mostThreads];
};

/// Threads that are useful at once: as many as the processors on which this process may run.
int usefulThreads();

}  // namespace ckernels
