// A pass over the blocks of all tokens, forward or backward.
#pragma once

#include "HyperConnection/Coefficients.hpp"

namespace ckernels::CK_CODE {

/// A pass with arguments `Args`, and its threads' working memory.
template <class Args>
struct BlockRun {
  const Args &args;
  const Shape &shape;
  std::size_t floatsPerThread;  ///< floats of one thread's memory
  Shares shares;                ///< of the blocks
  float *threadScratch = nullptr;

  BlockRun(const Args &args, const Shape &shape, std::size_t floatsPerThread, int threads)
      : args(args), shape(shape), floatsPerThread(floatsPerThread),
        shares(usefulShares(
            (args.tokens + shape.tokens - 1) / shape.tokens, args.tokens * shape.n * shape.C * shape.columns,
            threads)) {}

  std::size_t scratchCount() const { return floatsPerThread * std::size_t(shares.threads); }
  BumpAllocator memoryOf(int thread) const {
    return BumpAllocator(threadScratch + floatsPerThread * std::size_t(thread));
  }

  /// Calls `body(block, token, tokens, prefetch)` for the blocks of a share, each of `tokens` tokens from `token` on. `body` adds
  /// to `prefetch` the memory that the next block reads and writes.
  template <class Body>
  void forEachBlock(int share, const Body &body) const {
    BlockPrefetch prefetch;
    const Index last = shares.first(share + 1);
    for (Index block = shares.first(share); block < last; block++) {
      const Index token = block * shape.tokens, tokens = std::min<Index>(shape.tokens, args.tokens - token);
      prefetch.begin(token, tokens, std::min<Index>(shape.tokens, args.tokens - token - tokens));
      body(block, token, tokens, prefetch);
    }
  }
};

/// out [m,C] of each token = the token's coefficients [m,n] times a state [n,C]. The coefficients of a token have rows of
/// `row` floats, and begin `next` floats after those of the token before.
CK_INLINE void multiplySlots(
    const Shape &shape, const float *coefficients, Index row, Index next, const float *state, Index tokens, float *out,
    BlockPrefetch &prefetch) {
  const Index m = shape.m, n = shape.n, C = shape.C;
  for (Index t = 0; t < tokens; t++)
    compute(Product{
        .out = out + t * m * C,
        .outRow = C,
        .rows = m,
        .columns = C,
        .termCount = 1,
        .terms = {{coefficients + t * next, row, 1, state + t * n * C, C, n}},
        .prefetch = &prefetch,
    });
}

}  // namespace ckernels::CK_CODE
