// Waiting for another thread: spinning for a short time, then sleeping.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace ckernels {

/// Spins for a limited number of pauses.
class SpinBackoff {
 public:
  /// Pauses once. False after about 0.1 ms: the other thread may be waiting for this core, so the caller must sleep. Yielding
  /// is no substitute: a thread that yields repeatedly gets less than its share of a core, and the scheduler moves no
  /// waiting thread to a core whose thread does not sleep.
  bool pause() {
    constexpr int maximumPauses = 1 << 12;
    if (pauses++ >= maximumPauses) return false;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
    return true;
  }

 private:
  int pauses = 0;
};

/// Lets one thread sleep until a condition is true.
class Sleeper {
 public:
  /// Sleeps until `isDone()`, which another thread makes true before it calls `wake`.
  template <typename Condition>
  void sleep(const Condition &isDone) {
    std::unique_lock<std::mutex> lock(mutex);
    isSleeping.store(true, std::memory_order_seq_cst);
    while (!isDone()) woken.wait(lock);
    isSleeping.store(false, std::memory_order_relaxed);
  }

  /// Wakes the thread if it sleeps. The condition must have become true by a sequentially consistent store.
  void wake() {
    if (!isSleeping.load(std::memory_order_seq_cst)) return;
    std::lock_guard<std::mutex> lock(mutex);
    woken.notify_one();
  }

 private:
  std::mutex mutex;
  std::condition_variable woken;
  std::atomic<bool> isSleeping{false};
};

}  // namespace ckernels
