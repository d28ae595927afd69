// The attention sublayer of a few new positions, from its norm to its output.
#pragma once

#include "Decode/CachedAttention.hpp"
#include "Decode/Sublayer.hpp"
#include "Layers/QKNormRoPE.hpp"

namespace ckernels::CK_CODE {

struct AttentionSublayer {
  const ck_attention_sublayer_args &args;
  const ck_attention_layer &layer;
  Index rows = 0, headSize, group, stride, splits = 1;
  int threads;
  Shares shares{};  ///< of the tasks
  float *normed = nullptr, *packed = nullptr, *queries = nullptr, *keys = nullptr, *values = nullptr;
  float *rotated = nullptr, *rotatedKeys = nullptr, *scales = nullptr, *padded = nullptr, *attentionOutput = nullptr;
  float *packedOutput = nullptr, *partial = nullptr, *maxima = nullptr, *totals = nullptr, *scores = nullptr;

  AttentionSublayer(const ck_attention_sublayer_args &args, int threads)
      : args(args), layer(*args.layer), headSize(layer.head_size), group(layer.heads / layer.key_value_heads),
        stride((headSize + lanes - 1) / lanes * lanes), threads(threads) {
    Index longest = 0;
    for (Index each = 0; each < args.count; each++) {
      rows += args.sequences[each].rows;
      longest = std::max<Index>(longest, args.sequences[each].start + args.sequences[each].rows);
    }
    splits = parts(longest);
    shares = usefulShares(tasks(), 4 * longest * rows * layer.heads * headSize, threads);
  }

  /// The parts of a row's positions: several where the row has fewer heads than there are threads, as long as a part is
  /// worth combining. They do not depend on the other rows, and so the row's output does not either.
  Index parts(Index length) const {
    constexpr Index worthSplitting = 256;
    const Index wanted = (threads + layer.key_value_heads - 1) / layer.key_value_heads;
    return std::max<Index>(1, std::min(wanted, length / worthSplitting));
  }

  Index tasks() const { return rows * layer.key_value_heads * splits; }
  Index scoreCount() const { return positionsTogether * group; }

  /// Assigns the working memory; returns the floats that it takes.
  std::size_t assignMemory(float *memory) {
    BumpAllocator allocator(memory);
    const Index inputs = layer.query.inputs, all = rows * layer.heads, shared = rows * layer.key_value_heads;
    normed = allocator.take(rows * inputs);
    packed = allocator.take(rows * PackedActivations::width(layer.query));
    queries = allocator.take(all * headSize);
    keys = allocator.take(shared * headSize);
    values = allocator.take(shared * headSize);
    rotated = allocator.take(all * headSize);
    rotatedKeys = allocator.take(shared * headSize);
    scales = allocator.take(all);
    padded = allocator.take(all * stride);
    attentionOutput = allocator.take(all * headSize);
    packedOutput = allocator.take(rows * PackedActivations::width(layer.output));
    partial = allocator.take(splits * all * stride);
    maxima = allocator.take(splits * all);
    totals = allocator.take(splits * all);
    scores = allocator.take(shares.threads * scoreCount());
    return allocator.count();
  }

  void project() {
    normalizeInput(layer, args.x, rows, layer.query.inputs, normed);
    const float *x = PackedActivations::rows(layer.query, normed, rows, packed);
    const Index width = PackedActivations::width(layer.query);
    const SkinnyTask all[] = {
        {&layer.query, x, rows, width, queries},
        {&layer.key, x, rows, width, keys},
        {&layer.value, x, rows, width, values}};
    skinnyGEMMs(all, 3, threads);
  }

  void rotate(Index heads, const float *x, const float *weight, float *y) {
    const ck_qk_norm_rope_args rotation{
        .tokens = rows,
        .heads = heads,
        .head_size = headSize,
        .period = rows,
        .x = x,
        .weight = weight,
        .cosine = args.cosine,
        .sine = args.sine,
        .epsilon = layer.epsilon,
        .y = y,
        .scale = scales};
    qkNormRoPE(rotation, 1);
  }

  /// Rotates queries and keys, and stores the new keys and values.
  void storeKeysAndValues() {
    rotate(layer.heads, queries, layer.query_norm, rotated);
    rotate(layer.key_value_heads, keys, layer.key_norm, rotatedKeys);
    const float scale = 1 / std::sqrt(float(headSize));
    for (Index each = 0; each < rows * layer.heads; each++) {
      for (Index c = 0; c < headSize; c++) padded[each * stride + c] = rotated[each * headSize + c] * scale;
      std::fill(padded + each * stride + headSize, padded + (each + 1) * stride, 0.0f);
    }
    Index row = 0;
    for (Index sequence = 0; sequence < args.count; sequence++) {
      const ck_kv_view &view = args.sequences[sequence];
      for (Index each = 0; each < view.rows; each++, row++)
        for (Index head = 0; head < layer.key_value_heads; head++) {
          const Index at = (row * layer.key_value_heads + head) * headSize, position = view.start + each;
          storeKV(view, true, head, position, rotatedKeys + at, headSize);
          storeKV(view, false, head, position, values + at, headSize);
        }
    }
  }

  /// One row's queries of one key head, over one part of the positions.
  void attendTask(Index task, float *scores) {
    const Index split = task % splits, head = task / splits % layer.key_value_heads;
    const Index row = task / splits / layer.key_value_heads;
    Index sequence = 0, own = row;
    for (; own >= args.sequences[sequence].rows; sequence++) own -= args.sequences[sequence].rows;
    const ck_kv_view &view = args.sequences[sequence];
    const Index length = view.start + own + 1, all = rows * layer.heads, parts = this->parts(length);
    const Index at = row * layer.heads + head * group;
    // A row with fewer parts than another has empty ones.
    CK_CODE::attend(
        view, head, headSize, {padded + at * stride, stride, scores}, group, length * std::min(split, parts) / parts,
        length * std::min(split + 1, parts) / parts,
        {partial + (split * all + at) * stride, maxima + split * all + at, totals + split * all + at});
  }

  void attend() {
    forEachShare(shares, [this](int thread, int share) {
      for (Index task = shares.first(share); task < shares.first(share + 1); task++)
        attendTask(task, scores + thread * scoreCount());
    });
  }

  /// Combines the partial softmaxes of all parts.
  void combineSplits() {
    const Index all = rows * layer.heads;
    for (Index each = 0; each < all; each++) {
      float maximum = -INFINITY, sum = 0;
      for (Index split = 0; split < splits; split++) maximum = std::max(maximum, maxima[split * all + each]);
      for (Index split = 0; split < splits; split++) {
        float &share = maxima[split * all + each];
        share = std::exp(share - maximum);
        sum += share * totals[split * all + each];
      }
      float *y = attentionOutput + each * headSize;
      std::fill_n(y, headSize, 0.0f);
      for (Index split = 0; split < splits; split++) {
        const float share = maxima[split * all + each] / sum;
        const float *part = partial + (split * all + each) * stride;
        for (Index c = 0; c < headSize; c++) y[c] += share * part[c];
      }
    }
  }

  void output() {
    skinnyGEMM(layer.output, attentionOutput, rows, packedOutput, args.y, threads);
    if (args.adds_input) addInput(args.x, rows * layer.output.outputs, args.y);
  }
};

inline bool attentionSublayer(const ck_attention_sublayer_args &args, int threads) {
  AttentionSublayer step(args, threads);
  if (!allocateMemory(step)) return false;
  step.project();
  step.storeKeysAndValues();
  step.attend();
  step.combineSplits();
  step.output();
  return true;
}

}  // namespace ckernels::CK_CODE
