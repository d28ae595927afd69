// What threads fetch from memory while they wait: what the next job is going to read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

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

}  // namespace ckernels
