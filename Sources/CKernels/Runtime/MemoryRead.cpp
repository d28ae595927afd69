// The speed of reading memory, which bounds that of decoding: each token reads every weight once.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "ckernels.h"
#include "Runtime/Threads.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

typedef std::uint64_t Vector __attribute__((vector_size(32)));

/// An array of 64-bit words, and the sum of each share of it. A piece of the shares is 16 words.
struct ReadJob {
  std::uint64_t *words;
  ckernels::Shares shares;
  std::vector<std::uint64_t> sums;

  std::uint64_t *first(int share) const { return words + shares.first(share) * 16; }
};

/// Adds up one share, in four sums so that additions do not wait for one another.
void readShare(void *context, int, int share) {
  ReadJob &job = *static_cast<ReadJob *>(context);
  const Vector *vector = reinterpret_cast<const Vector *>(job.first(share));
  const Vector *end = reinterpret_cast<const Vector *>(job.first(share + 1));
  Vector a{}, b{}, c{}, d{};
  for (; vector < end; vector += 4) {
    a += vector[0];
    b += vector[1];
    c += vector[2];
    d += vector[3];
  }
  a += b + c + d;
  job.sums[share] = a[0] + a[1] + a[2] + a[3];
}

void fillShare(void *context, int, int share) {
  const ReadJob &job = *static_cast<const ReadJob *>(context);
  std::fill(job.first(share), job.first(share + 1), 1);
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
  const std::int64_t words = size / 8;
  const ckernels::Shares shares{words / 16, std::clamp(threads, 1, ckernels::maximumThreads)};
  ReadJob job{static_cast<std::uint64_t *>(memory), shares, std::vector<std::uint64_t>(shares.count())};
  // Filled by the threads that read it: on a NUMA machine each share is then in memory near its thread.
  ckernels::forEachShare(shares, fillShare, &job);
  std::vector<double> speeds;
  for (int round = 0; round < 5; round++) {
    const auto start = std::chrono::steady_clock::now();
    ckernels::forEachShare(shares, readShare, &job);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    // Every word is 1, so the sum is the number of words unless some were skipped.
    if (std::accumulate(job.sums.begin(), job.sums.end(), std::uint64_t(0)) == std::uint64_t(words))
      speeds.push_back(double(size) / seconds.count());
  }
  std::free(memory);
  if (speeds.empty()) return 0;
  std::sort(speeds.begin(), speeds.end());
  return speeds[speeds.size() / 2];
}
