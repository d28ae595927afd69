// Attention of a few new positions over the KV cache: online softmax over tiles of positions.
#pragma once

#include "Quantized/WeightFormats.hpp"
#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

/// Positions whose scores become probabilities together.
constexpr Index positionsTogether = 32;

/// How many positions ahead keys are prefetched; values are prefetched when their keys are read.
constexpr Index positionsAhead = 16;

/// Query heads that share the read of a key or a value, as many as there are registers for their sums.
constexpr int headsTogether = CK_REGISTERS == 32 ? 4 : 2;

/// The cached keys or values of one head. `isAligned`: a row fills whole registers.
template <class Format, bool isAligned>
struct CachedRows {
  static constexpr Index bytes = Format::bytes / Format::chunk;
  const std::uint8_t *values;
  const float *scales;  ///< of int8, one a position
  Index width;

  CachedRows(const ck_kv_view &view, bool isKeys, Index head, Index width) : scales(nullptr), width(width) {
    const Index first = head * view.capacity;
    values = static_cast<const std::uint8_t *>(isKeys ? view.keys : view.values) + first * width * bytes;
    if (Format::isScaled) scales = (isKeys ? view.key_scales : view.value_scales) + first;
  }

  /// One register of a position's floats without their scale, zero past the head's width.
  CK_INLINE Vector piece(Index position, Index c) const {
    const std::uint8_t *p = values + (position * width + c) * bytes;
    if (isAligned || c + lanes <= width) return Format::piece(Format::raw(p), 0);
    std::uint8_t padded[lanes * bytes] = {};
    std::memcpy(padded, p, std::size_t((width - c) * bytes));
    return Format::piece(Format::raw(padded), 0);
  }

  CK_INLINE float scale(Index position) const { return Format::isScaled ? scales[position] : 1; }

  CK_INLINE void prefetch(Index position) const {
    for (Index line = 0; line < width * bytes; line += 64) __builtin_prefetch(values + position * width * bytes + line);
  }
};

/// Rounded to the nearest bfloat16, halves to even.
CK_INLINE std::uint16_t roundedToBFloat16(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  return std::uint16_t(x != x ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Stores a head's key or value [width] of one position.
inline void storeKV(const ck_kv_view &view, bool isKeys, Index head, Index position, const float *x, Index width) {
  const Index row = head * view.capacity + position;
  void *all = isKeys ? view.keys : view.values;
  switch (view.format) {
    case CK_FLOAT32: std::copy_n(x, width, static_cast<float *>(all) + row * width); break;
    case CK_BFLOAT16:
      for (Index c = 0; c < width; c++) static_cast<std::uint16_t *>(all)[row * width + c] = roundedToBFloat16(x[c]);
      break;
    default: {
      float maximum = 0;
      for (Index c = 0; c < width; c++) maximum = std::max(maximum, std::fabs(x[c]));
      (isKeys ? view.key_scales : view.value_scales)[row] = maximum / 127;
      const float inverse = maximum > 0 ? 127 / maximum : 0;
      for (Index c = 0; c < width; c++)
        static_cast<std::int8_t *>(all)[row * width + c] = std::int8_t(std::nearbyint(x[c] * inverse));
    }
  }
}

/// Softmax attention of some heads' queries over a range of positions: sums of weighted values [heads, stride], not yet
/// divided by the sum of the weights, and for each head the largest score and that sum.
struct PartialSoftmax {
  float *values;
  float *maxima, *totals;
};

/// Queries [heads, stride], already scaled, and memory for their scores [heads, positionsTogether].
struct QueryTile {
  const float *queries;
  Index stride;
  float *scores;
};

/// Scores of queries with `Count` consecutive keys in parallel: a sum must not wait for the one before.
template <int Heads, int Count, class Keys>
CK_INLINE void addScores(const Keys &keys, const QueryTile &tile, Index head, Index first, Index offset) {
  Vector sums[Heads][Count] = {};
  for (Index c = 0; c < tile.stride; c += lanes) {
    Vector key[Count];
    CK_UNROLL
    for (int each = 0; each < Count; each++) key[each] = keys.piece(first + offset + each, c);
    CK_UNROLL
    for (int h = 0; h < Heads; h++) {
      const Vector query = load(tile.queries + (head + h) * tile.stride + c);
      CK_UNROLL
      for (int each = 0; each < Count; each++) sums[h][each] += query * key[each];
    }
  }
  forEachOf<Heads, Count>([&](int h, int each) {
    tile.scores[(head + h) * positionsTogether + offset + each] =
        sumByHalves(sums[h][each]) * keys.scale(first + offset + each);
  });
}

/// Replaces the scores of up to positionsTogether positions by e^(score - the maximum so far); returns the factor that
/// earlier sums are multiplied by.
inline float onlineSoftmax(float *scores, Index count, float &maximum, float &total) {
  float latest = maximum;
  for (Index p = 0; p < count; p++) latest = std::max(latest, scores[p]);
  const float shrinkage = std::exp(maximum - latest);
  Index p = 0;
  for (; p + lanes <= count; p += lanes) store(scores + p, exponential(load(scores + p) - latest));
  if (p < count) storePart(scores + p, exponential(loadPart(scores + p, count - p) - latest), count - p);
  total *= shrinkage;
  for (p = 0; p < count; p++) total += scores[p];
  maximum = latest;
  return shrinkage;
}

/// Adds weighted values to `Width` registers of their sums, from column `c`.
template <int Heads, int Width, class Values>
CK_INLINE void addValues(
    const Values &values, const float *weights, Index first, Index count, Index stride, Index c, const float *shrinkage,
    float *results) {
  Vector sums[Heads][Width];
  forEachOf<Heads, Width>(
      [&](int h, int w) { sums[h][w] = load(results + h * stride + c + w * lanes) * shrinkage[h]; });
  for (Index p = 0; p < count; p++) {
    Vector value[Width];
    CK_UNROLL
    for (int w = 0; w < Width; w++) value[w] = values.piece(first + p, c + w * lanes);
    CK_UNROLL
    for (int h = 0; h < Heads; h++) {
      const Vector weight = weights[h * positionsTogether + p] * values.scale(first + p);
      CK_UNROLL
      for (int w = 0; w < Width; w++) sums[h][w] += value[w] * weight;
    }
  }
  forEachOf<Heads, Width>([&](int h, int w) { store(results + h * stride + c + w * lanes, sums[h][w]); });
}

/// Adds `count` positions from `first` to the partial softmaxes of `Heads` heads from `head`.
template <int Heads, class Rows>
void attendHeads(
    const Rows &keys, const Rows &values, const QueryTile &tile, Index head, Index first, Index count,
    const PartialSoftmax &result) {
  Index offset = 0;
  for (; offset + 4 <= count; offset += 4) {
    for (Index each = first + offset; each < first + offset + 4; each++) {
      keys.prefetch(each + positionsAhead);
      values.prefetch(each);
    }
    addScores<Heads, 4>(keys, tile, head, first, offset);
  }
  for (; offset < count; offset++) addScores<Heads, 1>(keys, tile, head, first, offset);
  float *weights = tile.scores + head * positionsTogether, shrinkage[Heads];
  for (int h = 0; h < Heads; h++)
    shrinkage[h] =
        onlineSoftmax(weights + h * positionsTogether, count, result.maxima[head + h], result.totals[head + h]);
  float *results = result.values + head * tile.stride;
  Index c = 0;
  for (; c + 4 * lanes <= tile.stride; c += 4 * lanes)
    addValues<Heads, 4>(values, weights, first, count, tile.stride, c, shrinkage, results);
  for (; c < tile.stride; c += lanes)
    addValues<Heads, 1>(values, weights, first, count, tile.stride, c, shrinkage, results);
}

template <class Rows>
void attendPositions(
    const Rows &keys, const Rows &values, const QueryTile &tile, Index heads, Index first, Index last,
    const PartialSoftmax &result) {
  std::fill_n(result.values, heads * tile.stride, 0.0f);
  std::fill_n(result.maxima, heads, -INFINITY);
  std::fill_n(result.totals, heads, 0.0f);
  for (Index position = first; position < last; position += positionsTogether) {
    const Index count = std::min(positionsTogether, last - position);
    Index head = 0;
    for (; head + headsTogether <= heads; head += headsTogether)
      attendHeads<headsTogether>(keys, values, tile, head, position, count, result);
    if (headsTogether > 2 && head + 2 <= heads) {
      attendHeads<2>(keys, values, tile, head, position, count, result);
      head += 2;
    }
    for (; head < heads; head++) attendHeads<1>(keys, values, tile, head, position, count, result);
  }
}

/// Some heads' queries of one position over positions [first, last) of the key head that they share.
template <class Format>
void attendFormat(
    const ck_kv_view &view, Index head, Index width, const QueryTile &tile, Index heads, Index first, Index last,
    const PartialSoftmax &result) {
  auto attendRows = [&](auto isAligned) {
    typedef CachedRows<Format, isAligned> Rows;
    const Rows keys(view, true, head, width), values(view, false, head, width);
    attendPositions(keys, values, tile, heads, first, last, result);
  };
  width % lanes == 0 ? attendRows(std::true_type()) : attendRows(std::false_type());
}

inline void attend(
    const ck_kv_view &view, Index head, Index width, const QueryTile &tile, Index heads, Index first, Index last,
    const PartialSoftmax &result) {
  switch (view.format) {
    case CK_FLOAT32: return attendFormat<Float32Format>(view, head, width, tile, heads, first, last, result);
    case CK_BFLOAT16: return attendFormat<BFloat16Format>(view, head, width, tile, heads, first, last, result);
    default: return attendFormat<Int8Format>(view, head, width, tile, heads, first, last, result);
  }
}

}  // namespace ckernels::CK_CODE
