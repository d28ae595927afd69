// Loops over the rows of a job, shared among threads, and over the registers of a row.
#pragma once

#include "SIMD/Vector.hpp"

namespace ckernels::CK_CODE {

/// Calls `step(isPart, at, count)` for elements [first, last), a register at a time: `at` is the first element of each, and
/// with the constant `isPart` it has only `count` elements.
template <class Step>
CK_INLINE void forEachRegister(Index first, Index last, const Step &step) {
  Index at = first;
  for (; at + lanes <= last; at += lanes) [[clang::always_inline]]
    step(std::false_type(), at, Index(lanes));
  if (at < last) [[clang::always_inline]]
    step(std::true_type(), at, last - at);
}

// The loops of Runtime/Threads.hpp with a callable body.

template <class Body>
void forEachShare(const Shares &shares, const Body &body) {
  ckernels::forEachShare(
      shares, [](void *body, int thread, int share) { (*static_cast<const Body *>(body))(thread, share); },
      const_cast<Body *>(&body));
}

template <class Body>
void forEachRange(Index count, Index piece, int threads, const Body &body, const RowsRead *rows = nullptr) {
  ckernels::forEachRange(
      count, piece, threads,
      [](void *body, int thread, std::int64_t first, std::int64_t last) {
        (*static_cast<const Body *>(body))(thread, first, last);
      },
      const_cast<Body *>(&body), rows);
}

/// Calls `computeRow(args, row)` for every row, with `work` multiplications in all.
template <auto computeRow, class Args>
bool forEachRow(const Args &args, Index rows, Index work, int threads) {
  const Shares shares = usefulShares(rows, work, threads);
  forEachShare(shares, [&](int, int share) {
    const Index last = shares.first(share + 1);
    for (Index row = shares.first(share); row < last; row++) computeRow(args, row);
  });
  return true;
}

}  // namespace ckernels::CK_CODE
