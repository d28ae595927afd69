// Causal attention a head at a time: only the scores of one block of queries exist, in cache.
#pragma once

#include "SIMD/Product.hpp"
#include "SIMD/Reductions.hpp"
#include "SIMD/Transpose.hpp"

namespace ckernels::CK_CODE {

/// Queries whose scores exist at once.
constexpr Index queryBlock = 64;

struct AttentionRun {
  const ck_causal_attention_args &args;
  const ck_causal_attention_backward_args *backward;  ///< null in the forward pass
  Shares shares;                                      ///< of the key heads
  Index stride;                                       ///< the keys, rounded up to whole registers
  float *threadScratch;
  std::size_t threadCount;

  Index length() const { return Index(args.length); }
  /// The keys before the first query, which all queries see.
  Index past() const { return Index(args.layout.length - args.length); }
  Index width() const { return Index(args.head_size); }
  Index queryRow() const { return Index(args.heads) * width(); }
  Index keyRow() const { return Index(args.layout.position); }
};

/// A thread's memory: transposed keys and values, and the scores of a block with their gradients.
struct AttentionScratch {
  float *keys, *scores, *values, *scoreGradients;

  AttentionScratch(BumpAllocator &allocator, Index stride, Index width, bool isBackward)
      : keys(allocator.take(stride * width)), scores(allocator.take(stride * queryBlock)),
        values(isBackward ? allocator.take(stride * width) : nullptr),
        scoreGradients(isBackward ? allocator.take(stride * queryBlock) : nullptr) {}
};

/// The offsets of one head in queries, in keys, and in log_sum_exp.
struct AttentionHead {
  Index query, key, logSumExp;
};

/// A block of queries: `first` to `first + count`, which see `keys` keys, the last of them all.
struct QueryBlock {
  Index first, count, keys;

  QueryBlock(Index first, const AttentionRun &run)
      : first(first), count(std::min(queryBlock, run.length() - first)), keys(run.past() + first + count) {}
};

/// out [count, keys] = the block's rows of `left` times transposed keys or values.
CK_INLINE void multiplyTransposed(
    const AttentionRun &run, const QueryBlock &block, const float *left, const float *transposed, float *out) {
  compute(Product{
      .out = out,
      .outRow = run.stride,
      .rows = block.count,
      .columns = block.keys,
      .termCount = 1,
      .terms = {{left + block.first * run.queryRow(), run.queryRow(), 1, transposed, run.stride, run.width()}}});
}

/// out [count, d] = left [count, keys] times keys or values.
CK_INLINE void multiplyKeys(
    const AttentionRun &run, const QueryBlock &block, const float *left, const float *right, float *out) {
  compute(Product{
      .out = out + block.first * run.queryRow(),
      .outRow = run.queryRow(),
      .rows = block.count,
      .columns = run.width(),
      .termCount = 1,
      .terms = {{left, run.stride, 1, right, run.keyRow(), block.keys}}});
}

/// sums [keys, d] += left^T [keys, count] times the block's rows of `right`.
CK_INLINE void addTransposed(
    const AttentionRun &run, const QueryBlock &block, const float *left, const float *right, float *sums) {
  compute(Product{
      .out = sums,
      .outRow = run.keyRow(),
      .rows = block.keys,
      .columns = run.width(),
      .accumulates = true,
      .termCount = 1,
      .terms = {{left, 1, run.stride, right + block.first * run.queryRow(), run.queryRow(), block.count}}});
}

/// x = e^(scale x - offset) for the first `count` elements, 0 up to `end`; returns the sum.
CK_INLINE float exponentials(float *x, Index count, Index end, float scale, float offset) {
  Vector total = 0.0f;
  forEachRegister(0, count, [&](auto isPart, Index c, Index left) {
    const Vector power = firstOf<isPart>(exponential(loadTile<isPart>(x + c, left) * scale - offset), left);
    storeTile<isPart>(x + c, power, left);
    total += power;
  });
  std::fill(x + count, x + end, 0.0f);
  return sum(total);
}

inline void attendBlock(
    const AttentionRun &run, const AttentionScratch &scratch, const AttentionHead &head, const QueryBlock &block) {
  const ck_causal_attention_args &args = run.args;
  float totals[queryBlock];
  multiplyTransposed(run, block, args.query + head.query, scratch.keys, scratch.scores);
  for (Index i = 0; i < block.count; i++) {
    float *row = scratch.scores + i * run.stride;
    const Index seen = run.past() + block.first + i + 1;
    const float maximum = maximumOf(row, seen) * args.scale;
    totals[i] = exponentials(row, seen, block.keys, args.scale, maximum);
    args.log_sum_exp[head.logSumExp + block.first + i] = maximum + std::log(totals[i]);
  }
  float *output = args.output + head.query;
  multiplyKeys(run, block, scratch.scores, args.value + head.key, output);
  for (Index i = 0; i < block.count; i++) {
    float *row = output + (block.first + i) * run.queryRow();
    Index c = 0;
    for (; c + lanes <= run.width(); c += lanes) store(row + c, load(row + c) / totals[i]);
    for (; c < run.width(); c++) row[c] /= totals[i];
  }
}

/// scoreGradients = (scoreGradients - mean) * scores * scale, for a row of keys.
CK_INLINE void scaleScoreGradients(float *scoreGradients, const float *scores, Index keys, float mean, float scale) {
  Index c = 0;
  for (; c + lanes <= keys; c += lanes)
    store(scoreGradients + c, (load(scoreGradients + c) - mean) * load(scores + c) * scale);
  for (; c < keys; c++) scoreGradients[c] = (scoreGradients[c] - mean) * scores[c] * scale;
}

inline void attendBlockBackward(
    const AttentionRun &run, const AttentionScratch &scratch, const AttentionHead &head, const QueryBlock &block) {
  const ck_causal_attention_args &args = run.args;
  const ck_causal_attention_backward_args &backward = *run.backward;
  const float *upstream = backward.output_gradient + head.query;
  multiplyTransposed(run, block, args.query + head.query, scratch.keys, scratch.scores);
  multiplyTransposed(run, block, upstream, scratch.values, scratch.scoreGradients);
  for (Index i = 0; i < block.count; i++) {
    const Index row = block.first + i, at = head.query + row * run.queryRow();
    float *scores = scratch.scores + i * run.stride;
    exponentials(scores, row + 1, block.keys, args.scale, args.log_sum_exp[head.logSumExp + row]);
    const float mean = innerProduct(backward.output_gradient + at, args.output + at, run.width());
    scaleScoreGradients(scratch.scoreGradients + i * run.stride, scores, block.keys, mean, args.scale);
  }
  multiplyKeys(run, block, scratch.scoreGradients, args.key + head.key, backward.query_gradient + head.query);
  addTransposed(run, block, scratch.scoreGradients, args.query + head.query, backward.key_gradient + head.key);
  addTransposed(run, block, scratch.scores, upstream, backward.value_gradient + head.key);
}

/// The pieces of work are key heads: the gradient of a key sums over all queries that share it, in their order.
inline void attentionShare(const AttentionRun &run, int thread, int share) {
  const ck_causal_attention_args &args = run.args;
  const bool isBackward = run.backward != nullptr;
  BumpAllocator allocator(run.threadScratch + run.threadCount * std::size_t(thread));
  const AttentionScratch scratch(allocator, run.stride, run.width(), isBackward);
  const Index length = run.length(), keys = Index(args.layout.length);
  const Index keyHeads = Index(args.key_value_heads), shared = Index(args.heads) / keyHeads;
  const Index last = run.shares.first(share + 1);
  for (Index piece = run.shares.first(share); piece < last; piece++) {
    const Index row = piece / keyHeads, keyHead = piece % keyHeads;
    const Index key = row * Index(args.layout.row) + keyHead * Index(args.layout.head);
    transpose(args.key + key, run.keyRow(), keys, run.width(), scratch.keys, run.stride, nullptr);
    if (isBackward) {
      transpose(args.value + key, run.keyRow(), keys, run.width(), scratch.values, run.stride, nullptr);
      for (Index t = 0; t < length; t++)
        for (float *sums : {run.backward->key_gradient, run.backward->value_gradient})
          std::fill_n(sums + key + t * run.keyRow(), run.width(), 0.0f);
    }
    for (Index h = keyHead * shared; h < (keyHead + 1) * shared; h++) {
      const AttentionHead head{
          row * length * run.queryRow() + h * run.width(), key, (row * Index(args.heads) + h) * length};
      for (Index first = 0; first < length; first += queryBlock)
        (isBackward ? attendBlockBackward : attendBlock)(run, scratch, head, QueryBlock(first, run));
    }
  }
}

inline bool runAttention(
    const ck_causal_attention_args &args, const ck_causal_attention_backward_args *backward, int threads) {
  const Index stride = (Index(args.layout.length) + lanes - 1) / lanes * lanes;
  BumpAllocator allocator(nullptr);
  AttentionScratch(allocator, stride, Index(args.head_size), backward != nullptr);
  const Index pieces = Index(args.batch * args.key_value_heads);
  const Shares shares =
      usefulShares(pieces, args.batch * args.heads * args.length * args.layout.length * args.head_size, threads);
  float *memory = scratch(allocator.count() * std::size_t(shares.threads));
  if (!memory) return false;
  const AttentionRun run{args, backward, shares, stride, memory, allocator.count()};
  forEachShare(shares, [&](int thread, int share) { attentionShare(run, thread, share); });
  return true;
}

inline bool causalAttention(const ck_causal_attention_args &args, int threads) {
  return runAttention(args, nullptr, threads);
}

inline bool causalAttentionBackward(const ck_causal_attention_backward_args &args, int threads) {
  return runAttention(args.forward, &args, threads);
}

}  // namespace ckernels::CK_CODE
