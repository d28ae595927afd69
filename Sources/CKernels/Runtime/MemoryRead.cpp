// The speed of reading memory, which bounds that of decoding: each token reads every weight once.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ckernels.h"
#include "Runtime/Threads.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

typedef std::uint64_t Vector __attribute__((vector_size(32)));

struct ReadJob {
  const std::uint64_t *words;
  std::int64_t count;
  int parts;
  std::uint64_t *sums;
};

/// Adds up one part in four sums: an addition must not wait for the one before.
void readPart(void *context, int part) {
  const ReadJob &job = *static_cast<const ReadJob *>(context);
  const Vector *vectors = reinterpret_cast<const Vector *>(job.words);
  const std::int64_t blocks = job.count / 16;
  const Vector *vector = vectors + blocks * part / job.parts * 4;
  const Vector *end = vectors + blocks * (part + 1) / job.parts * 4;
  Vector a{}, b{}, c{}, d{};
  for (; vector < end; vector += 4) {
    a += vector[0];
    b += vector[1];
    c += vector[2];
    d += vector[3];
  }
  a += b + c + d;
  job.sums[part] = a[0] + a[1] + a[2] + a[3];
}

void fillPart(void *context, int part) {
  const ReadJob &job = *static_cast<const ReadJob *>(context);
  const std::int64_t first = job.count * part / job.parts, end = job.count * (part + 1) / job.parts;
  std::fill(const_cast<std::uint64_t *>(job.words) + first, const_cast<std::uint64_t *>(job.words) + end, 1);
}

}  // namespace

double ck_read_bandwidth(int64_t bytes, int threads) {
  constexpr std::int64_t page = std::int64_t(2) << 20;
  const std::int64_t size = std::max<std::int64_t>(bytes, 1) / page * page + page;
  void *memory = std::aligned_alloc(page, size);
  if (!memory) return 0;
#if defined(__linux__)
  madvise(memory, size, MADV_HUGEPAGE);
#endif
  const int parts = std::max(threads, 1);
  std::vector<std::uint64_t> sums(parts);
  ReadJob job{static_cast<const std::uint64_t *>(memory), size / 8, parts, sums.data()};
  // By the threads that will read: on a NUMA machine each part is then in the memory near its thread.
  ckernels::forEachPart(parts, fillPart, &job);
  std::vector<double> speeds;
  for (int round = 0; round < 5; round++) {
    const auto start = std::chrono::steady_clock::now();
    ckernels::forEachPart(parts, readPart, &job);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    std::uint64_t sum = 0;
    for (std::uint64_t part : sums) sum += part;
    // A check that nothing was skipped: the sum of ones is their number.
    if (sum == std::uint64_t(job.count)) speeds.push_back(double(size) / seconds.count());
  }
  std::free(memory);
  if (speeds.empty()) return 0;
  std::sort(speeds.begin(), speeds.end());
  return speeds[speeds.size() / 2];
}
