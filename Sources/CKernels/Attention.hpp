// Causal attention a head at a time: the scores of a block of queries lie in cache, and no other scores exist.
#pragma once

/// Queries whose scores exist at once.
constexpr Index queryBlock = 64;

struct AttentionRun {
  const AttentionJob &job;
  Shares shares;  ///< of the keys' heads
  Index stride;  ///< keys, in whole registers
  float *threadScratch;
  std::size_t threadCount;

  Index length() const { return Index(job.length); }
  /// Keys that all queries see.
  Index past() const { return Index(job.keys.length - job.length); }
  Index width() const { return Index(job.width); }
  Index queryRow() const { return Index(job.heads) * width(); }
  Index keyRow() const { return Index(job.keys.position); }
};

/// A thread's memory: keys and values turned, and the scores of a block with their gradients.
struct AttentionScratch {
  float *keys, *scores, *values, *slopes;

  AttentionScratch(Cutter &cutter, Index stride, Index width, bool isBackward)
      : keys(cutter.take(stride * width)), scores(cutter.take(stride * queryBlock)),
        values(isBackward ? cutter.take(stride * width) : nullptr),
        slopes(isBackward ? cutter.take(stride * queryBlock) : nullptr) {}
};

/// Where the numbers of one head begin, for queries and for keys; and its first row's place among all logarithms.
struct AttentionHead {
  Index query, key, logarithm;
};

/// A block of queries: `first` to `first + count`, which see `keys` keys, the last of them all.
struct QueryBlock {
  Index first, count, keys;

  QueryBlock(Index first, const AttentionRun &run)
      : first(first), count(std::min(queryBlock, run.length() - first)), keys(run.past() + first + count) {}
};

/// out [count, keys] = rows of `left` times turned keys or values.
CK_INLINE void multiplyTurned(
    const AttentionRun &run, const QueryBlock &block, const float *left, const float *turned, float *out) {
  compute(Product{
      .out = out,
      .outRow = run.stride,
      .rows = block.count,
      .columns = block.keys,
      .termCount = 1,
      .terms = {{left + block.first * run.queryRow(), run.queryRow(), 1, turned, run.stride, run.width()}}});
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

/// sums [keys, d] += left^T [keys, count] times rows of `right`.
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

template <bool Part>
CK_INLINE Vector powers(float *x, Index count, float scale, float largest) {
  Vector power = exponential(loadTile<Part>(x, count) * scale - largest);
  if constexpr (Part)
    for (Index i = count; i < lanes; i++) power[i] = 0.0f;
  storeTile<Part>(x, power, count);
  return power;
}

/// x = e^(scale x - offset) in the first `count` places, 0 up to `end`; gives the sum.
CK_INLINE float exponentials(float *x, Index count, Index end, float scale, float offset) {
  Vector total = 0.0f;
  Index c = 0;
  for (; c + lanes <= count; c += lanes) total += powers<false>(x + c, 0, scale, offset);
  if (c < count) total += powers<true>(x + c, count - c, scale, offset);
  std::fill(x + count, x + end, 0.0f);
  return sum(total);
}

inline void attendBlock(
    const AttentionRun &run, const AttentionScratch &scratch, const AttentionHead &head, const QueryBlock &block) {
  const AttentionJob &job = run.job;
  float totals[queryBlock];
  multiplyTurned(run, block, job.query + head.query, scratch.keys, scratch.scores);
  for (Index i = 0; i < block.count; i++) {
    float *row = scratch.scores + i * run.stride;
    const Index seen = run.past() + block.first + i + 1;
    const float largest = largestOf(row, seen) * job.scale;
    totals[i] = exponentials(row, seen, block.keys, job.scale, largest);
    job.logarithms[head.logarithm + block.first + i] = largest + std::log(totals[i]);
  }
  float *output = job.output + head.query;
  multiplyKeys(run, block, scratch.scores, job.value + head.key, output);
  for (Index i = 0; i < block.count; i++) {
    float *row = output + (block.first + i) * run.queryRow();
    Index c = 0;
    for (; c + lanes <= run.width(); c += lanes) store(row + c, load(row + c) / totals[i]);
    for (; c < run.width(); c++) row[c] /= totals[i];
  }
}

/// slopes = (slopes - mean) * scores * scale, for a row of keys.
CK_INLINE void scoreSlopes(float *slopes, const float *scores, Index keys, float mean, float scale) {
  Index c = 0;
  for (; c + lanes <= keys; c += lanes) store(slopes + c, (load(slopes + c) - mean) * load(scores + c) * scale);
  for (; c < keys; c++) slopes[c] = (slopes[c] - mean) * scores[c] * scale;
}

inline void attendBlockBackward(
    const AttentionRun &run, const AttentionScratch &scratch, const AttentionHead &head, const QueryBlock &block) {
  const AttentionJob &job = run.job;
  const float *upstream = job.outputGradient + head.query;
  multiplyTurned(run, block, job.query + head.query, scratch.keys, scratch.scores);
  multiplyTurned(run, block, upstream, scratch.values, scratch.slopes);
  for (Index i = 0; i < block.count; i++) {
    const Index row = block.first + i, at = head.query + row * run.queryRow();
    float *scores = scratch.scores + i * run.stride;
    exponentials(scores, row + 1, block.keys, job.scale, job.savedLogarithms[head.logarithm + row]);
    const float mean = innerProduct(job.outputGradient + at, job.savedOutput + at, run.width());
    scoreSlopes(scratch.slopes + i * run.stride, scores, block.keys, mean, job.scale);
  }
  multiplyKeys(run, block, scratch.slopes, job.key + head.key, job.queryGradient + head.query);
  addTransposed(run, block, scratch.slopes, job.query + head.query, job.keyGradient + head.key);
  addTransposed(run, block, scratch.scores, upstream, job.valueGradient + head.key);
}

/// Keys' heads are the pieces of work: the gradients of a key come from all queries that share it, in their order.
inline void attentionShare(void *context, int thread, int share) {
  const AttentionRun &run = *static_cast<const AttentionRun *>(context);
  const AttentionJob &job = run.job;
  const bool isBackward = job.outputGradient;
  Cutter cutter(run.threadScratch + run.threadCount * std::size_t(thread));
  const AttentionScratch scratch(cutter, run.stride, run.width(), isBackward);
  const Index length = run.length(), keys = Index(job.keys.length), keyHeads = Index(job.keyHeads), shared = Index(job.heads) / keyHeads;
  const Index last = run.shares.first(share + 1);
  for (Index piece = run.shares.first(share); piece < last; piece++) {
    const Index row = piece / keyHeads, keyHead = piece % keyHeads;
    const Index key = row * Index(job.keys.row) + keyHead * Index(job.keys.head);
    transpose(job.key + key, run.keyRow(), keys, run.width(), scratch.keys, run.stride, nullptr);
    if (isBackward) {
      transpose(job.value + key, run.keyRow(), keys, run.width(), scratch.values, run.stride, nullptr);
      for (Index t = 0; t < length; t++)
        for (float *sums : {job.keyGradient, job.valueGradient})
          std::fill_n(sums + key + t * run.keyRow(), run.width(), 0.0f);
    }
    for (Index h = keyHead * shared; h < (keyHead + 1) * shared; h++) {
      const AttentionHead head{
          row * length * run.queryRow() + h * run.width(), key, (row * Index(job.heads) + h) * length};
      for (Index first = 0; first < length; first += queryBlock)
        (isBackward ? attendBlockBackward : attendBlock)(run, scratch, head, QueryBlock(first, run));
    }
  }
}

inline bool attention(const AttentionJob &job, int threads) {
  const Index stride = (Index(job.keys.length) + lanes - 1) / lanes * lanes;
  Cutter cutter(nullptr);
  AttentionScratch(cutter, stride, Index(job.width), job.outputGradient);
  const Index pieces = Index(job.batch * job.keyHeads);
  const Shares shares =
      usefulShares(pieces, job.batch * job.heads * job.length * job.keys.length * job.width, threads);
  float *memory = scratch(cutter.count() * std::size_t(shares.threads));
  if (!memory) return false;
  AttentionRun run{job, shares, stride, memory, cutter.count()};
  forEachShare(shares, attentionShare, &run);
  return true;
}
