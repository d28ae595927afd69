// What threads prefetch while they wait: the memory that the next job will read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "Runtime/Threads.hpp"

namespace ckernels {

/// Prefetches the rows that a thread will begin the next job with.
class Prefetcher {
 public:
  void start(const RowsRead &rows, int thread, int threads) {
    // Few enough bytes to leave cache for the current job.
    constexpr std::int64_t maximumBytes = 256 * 1024;
    at = end = 0;
    std::int64_t first = rows.count * thread / threads;
    for (int each = 0; each < rows.tableCount; each++) {
      table = rows.tables[each];
      if (first < table.rows) {
        table.values += first * table.stride;
        if (table.scales) table.scales += first * table.scaleStride;
        end = std::min((table.rows - first) * table.stride, maximumBytes);
        return;
      }
      first -= table.rows;
    }
  }

  /// Prefetches a few lines; false where nothing is left.
  bool step() {
    constexpr std::int64_t stepBytes = 512, line = 64;
    if (at >= end) return false;
    for (std::int64_t each = 0; each < stepBytes; each += line) __builtin_prefetch(table.values + at + each, 0, 2);
    if (table.scales) __builtin_prefetch(table.scales + at * table.scaleStride / table.stride, 0, 2);
    at += stepBytes;
    return true;
  }

 private:
  RowsRead::Table table{};
  std::int64_t at = 0, end = 0;
};

/// Predicts the rows that are read next: those that followed the last time. A model reads its weights in the same order for
/// every token; a wrong prediction costs only a useless prefetch.
class PrefetchPredictor {
 public:
  /// Learns that `rows` are read now; returns the predicted next rows, none where there is no prediction.
  RowsRead next(const RowsRead &rows) {
    const void *first = rows.tables[0].values;
    entries[slot(last)] = {last, rows};
    last = first;
    const Entry &entry = entries[slot(first)];
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

  static std::size_t slot(const void *address) {
    return std::size_t(reinterpret_cast<std::uintptr_t>(address) * std::uint64_t(0x9e3779b97f4a7c15) >> (64 - bits));
  }
};

}  // namespace ckernels
