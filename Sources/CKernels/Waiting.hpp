// Waiting for another thread: for some time with the core kept, then without.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace ckernels {

/// Lets a moment pass, for the other thread of a core, as long as it is worth keeping the core for.
class Patience {
 public:
  /// False after about a tenth of a millisecond: whoever is waited for may wait for this core. Yielding it would not do:
  /// a thread that yields again and again is given less than its share, and the core of one that does not sleep is never
  /// given to another that waits elsewhere.
  bool wait() {
    constexpr int many = 1 << 12;
    if (moments++ >= many) return false;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
    return true;
  }

 private:
  int moments = 0;
};

/// Where one thread sleeps until what it waits for has come.
class Bed {
 public:
  /// Sleeps until `isDone()`, which another thread makes true before it calls `wake`.
  template <typename Condition>
  void sleep(const Condition &isDone) {
    std::unique_lock<std::mutex> lock(mutex);
    isTaken.store(true, std::memory_order_seq_cst);
    while (!isDone()) woken.wait(lock);
    isTaken.store(false, std::memory_order_relaxed);
  }

  /// Wakes the thread, if it sleeps. The condition must have been made true by a store that is sequentially consistent.
  void wake() {
    if (!isTaken.load(std::memory_order_seq_cst)) return;
    std::lock_guard<std::mutex> lock(mutex);
    woken.notify_one();
  }

 private:
  std::mutex mutex;
  std::condition_variable woken;
  std::atomic<bool> isTaken{false};
};

}  // namespace ckernels
