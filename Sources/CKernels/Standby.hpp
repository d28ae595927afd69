// Threads that stand by for one job after another, and meanwhile fetch from memory what the next one is going to read.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "Threads.hpp"

namespace ckernels {

/// Goes ahead of a job, along the rows that a thread will begin with, into a cache of that thread's.
class Fetching {
 public:
  void aim(const RowsRead &rows, int thread, int threads) {
    // As much as leaves room in the cache for what is worked on.
    constexpr std::int64_t most = 256 * 1024;
    at = end = 0;
    std::int64_t first = rows.count * thread / threads;
    for (int each = 0; each < rows.tableCount; each++) {
      table = rows.tables[each];
      if (first < table.rows) {
        table.values += first * table.stride;
        if (table.scales) table.scales += first * table.scaleStride;
        end = std::min((table.rows - first) * table.stride, most);
        return;
      }
      first -= table.rows;
    }
  }

  /// Fetches a little; false where nothing is left.
  bool step() {
    constexpr std::int64_t little = 512, line = 64;
    if (at >= end) return false;
    for (std::int64_t each = 0; each < little; each += line) __builtin_prefetch(table.values + at + each, 0, 2);
    if (table.scales) __builtin_prefetch(table.scales + at * table.scaleStride / table.stride, 0, 2);
    at += little;
    return true;
  }

 private:
  RowsRead::Table table{};
  std::int64_t at = 0, end = 0;
};

/// Which rows are read after which: those that were the last time. A model reads its weights in the same order for token
/// after token; where the guess is wrong, something was fetched in vain.
class Followers {
 public:
  /// Takes note of rows that are read now, and gives those that may be next; none where that is not known.
  RowsRead note(const RowsRead &rows) {
    const void *first = rows.tables[0].values;
    entries[place(last)] = {last, rows};
    last = first;
    const Entry &entry = entries[place(first)];
    return entry.before == first ? entry.rows : RowsRead();
  }

 private:
  static constexpr int bits = 9;
  struct Entry {
    const void *before = nullptr;
    RowsRead rows;
  };
  Entry entries[1 << bits];
  const void *last = nullptr;

  static std::size_t place(const void *address) {
    return std::size_t(reinterpret_cast<std::uintptr_t>(address) * std::uint64_t(0x9e3779b97f4a7c15) >> (64 - bits));
  }
};

/// Lets a moment pass: for the other thread of a core, and when it has been long for whoever else wants the core.
class Patience {
 public:
  void wait() {
    constexpr int many = 1 << 14;
    if (++moments >= many) return std::this_thread::yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

 private:
  int moments = 0;
};

/// Threads of one call that do jobs together, the first of which hands them out. A job reaches the others by a word of
/// memory that they watch.
class Standby {
 public:
  typedef void (*Work)(void *context, int thread, int threads);

  explicit Standby(Followers &followers) : followers(followers) {}

  /// Called by the first thread before it hands out anything.
  void open(int threads) { this->threads = threads; }

  /// Calls `work` on every thread and waits for all. `rows` is what the job reads, if it is known.
  void run(Work work, void *context, const RowsRead *rows) {
    this->work = work;
    this->context = context;
    aims = rows != nullptr;
    if (rows) ahead = followers.note(*rows);
    busy.store(threads - 1, std::memory_order_relaxed);
    post();
    work(context, 0, threads);
    if (aims) fetching.aim(ahead, 0, threads);
    for (Patience patience; busy.load(std::memory_order_acquire) > 0;)
      if (!fetching.step()) patience.wait();
  }

  /// What every thread but the first does until it is dismissed.
  void serve(int thread, int threads) {
    Fetching fetching;
    for (std::uint32_t seen = 0;; seen++) {
      for (Patience patience; posted.load(std::memory_order_acquire) == seen;)
        if (!fetching.step()) patience.wait();
      if (!work) return;
      work(context, thread, threads);
      if (aims) fetching.aim(ahead, thread, threads);
      busy.fetch_sub(1, std::memory_order_release);
    }
  }

  void dismiss() {
    work = nullptr;
    post();
  }

 private:
  int threads = 1;
  Work work = nullptr;
  void *context = nullptr;
  bool aims = false;
  RowsRead ahead;
  Fetching fetching;
  Followers &followers;
  alignas(64) std::atomic<std::uint32_t> posted{0};
  alignas(64) std::atomic<int> busy{0};

  void post() { posted.fetch_add(1, std::memory_order_release); }
};

}  // namespace ckernels
