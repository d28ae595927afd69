// Attention of a few new positions over the keys and values that are kept of earlier ones.
#pragma once

/// Positions whose keys or values are made floats together, so that they stay in the innermost cache.
constexpr Index positionsTogether = 32;

/// Keys or values of one head, as they are kept.
struct Kept {
  const ck_memory &text;
  const void *values;
  const float *scales;  ///< for whole numbers, one a position
  Index width;

  Kept(const ck_memory &text, bool isKeys, Index head, Index width)
      : text(text), values(nullptr), scales(nullptr), width(width) {
    const Index first = head * text.capacity;
    const auto *bytes = static_cast<const std::uint8_t *>(isKeys ? text.keys : text.values);
    values = bytes + first * width * (text.form == CK_FLOAT32 ? 4 : text.form == CK_BFLOAT16 ? 2 : 1);
    const float *all = isKeys ? text.key_scales : text.value_scales;
    scales = text.form == CK_INT8 ? all + first : nullptr;
  }

  /// Positions [first, first + count) as floats [count, stride], zero beyond the head's width.
  CK_INLINE void expand(Index first, Index count, float *y, Index stride) const {
    const Index bytes = text.form == CK_FLOAT32 ? 4 : text.form == CK_BFLOAT16 ? 2 : 1;
    for (Index each = 0; each < count; each++, y += stride) {
      const Index at = (first + each) * width;
      // The next block of the same head: what is needed when this one's other half is done.
      const auto *ahead = static_cast<const char *>(values) + (at + positionsTogether * width) * bytes;
      for (Index line = 0; line < width * bytes; line += 64) __builtin_prefetch(ahead + line);
      Index c = 0;
      switch (text.form) {
        case CK_FLOAT32: {
          const float *x = static_cast<const float *>(values) + at;
          for (; c + lanes <= width; c += lanes) store(y + c, load(x + c));
          for (; c < width; c++) y[c] = x[c];
          break;
        }
        case CK_BFLOAT16: {
          const auto *x = static_cast<const std::uint16_t *>(values) + at;
          for (; c + lanes <= width; c += lanes)
            store(y + c, BFloat16Form::piece(BFloat16Form::raw(reinterpret_cast<const std::uint8_t *>(x + c)), 0));
          for (; c < width; c++) y[c] = widened(x[c])[0];
          break;
        }
        default: {
          const auto *x = static_cast<const std::int8_t *>(values) + at;
          const float scale = scales[first + each];
          for (; c + lanes <= width; c += lanes)
            store(y + c, Int8Form::piece(reinterpret_cast<const std::uint8_t *>(x + c), 0) * scale);
          for (; c < width; c++) y[c] = float(x[c]) * scale;
        }
      }
      for (; c < stride; c++) y[c] = 0;
    }
  }
};

/// Rounded to the nearest bfloat16, halves to even.
CK_INLINE std::uint16_t narrowed(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  return std::uint16_t(x != x ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Writes a head's key or value [width] of one position.
inline void keep(const ck_memory &text, bool isKeys, Index head, Index position, const float *x, Index width) {
  const Index row = head * text.capacity + position;
  void *all = isKeys ? text.keys : text.values;
  switch (text.form) {
    case CK_FLOAT32: std::copy_n(x, width, static_cast<float *>(all) + row * width); break;
    case CK_BFLOAT16:
      for (Index c = 0; c < width; c++) static_cast<std::uint16_t *>(all)[row * width + c] = narrowed(x[c]);
      break;
    default: {
      float largest = 0;
      for (Index c = 0; c < width; c++) largest = std::max(largest, std::fabs(x[c]));
      (isKeys ? text.key_scales : text.value_scales)[row] = largest / 127;
      const float inverse = largest > 0 ? 127 / largest : 0;
      for (Index c = 0; c < width; c++)
        static_cast<std::int8_t *>(all)[row * width + c] = std::int8_t(std::nearbyint(x[c] * inverse));
    }
  }
}

/// Softmax attention of some heads' queries over a stretch of positions: [heads, stride] sums of values not yet divided
/// by the weights' sum, and for each head that sum and the largest score.
struct Attended {
  float *values;
  float *largest, *total;
};

/// A query [stride] with `Count` keys [stride] one behind another, side by side: a sum must not wait for the one before.
template <int Count>
CK_INLINE void dots(const float *query, const float *keys, Index stride, float *scores) {
  Vector sums[Count] = {};
  for (Index c = 0; c < stride; c += lanes) {
    const Vector q = load(query + c);
    CK_UNROLL
    for (int each = 0; each < Count; each++) sums[each] += q * load(keys + each * stride + c);
  }
  CK_UNROLL
  for (int each = 0; each < Count; each++) scores[each] = sumByHalves(sums[each]);
}

/// `Width` registers of the values' sum over `count` positions, from column `c`.
template <int Width>
CK_INLINE void addPositions(
    const float *block, const float *scores, Index count, Index stride, Index c, float keeps, float *values) {
  Vector sums[Width];
  CK_UNROLL
  for (int w = 0; w < Width; w++) sums[w] = load(values + c + w * lanes) * keeps;
  for (Index p = 0; p < count; p++) {
    const Vector share = scores[p];
    CK_UNROLL
    for (int w = 0; w < Width; w++) sums[w] += load(block + p * stride + c + w * lanes) * share;
  }
  CK_UNROLL
  for (int w = 0; w < Width; w++) store(values + c + w * lanes, sums[w]);
}

/// Takes `count` positions' scores and values of one head into what was attended so far.
CK_INLINE void attendPositions(
    const float *block, float *scores, Index count, Index stride, float *values, float &largest, float &total) {
  float most = largest;
  for (Index p = 0; p < count; p++) most = std::max(most, scores[p]);
  const float keeps = std::exp(largest - most);
  Index p = 0;
  for (; p + lanes <= count; p += lanes) store(scores + p, exponential(load(scores + p) - most));
  if (p < count) storePart(scores + p, exponential(loadPart(scores + p, count - p) - most), count - p);
  total *= keeps;
  for (p = 0; p < count; p++) total += scores[p];
  Index c = 0;
  for (; c + 4 * lanes <= stride; c += 4 * lanes) addPositions<4>(block, scores, count, stride, c, keeps, values);
  for (; c < stride; c += lanes) addPositions<1>(block, scores, count, stride, c, keeps, values);
  largest = most;
}

/// `heads` queries [heads, stride] of one position, already scaled, over positions [first, last) of the head that they
/// share; `block` and `scores` are room for [positionsTogether, stride] and [heads, positionsTogether].
inline void attend(
    const Kept &keys, const Kept &kept, const float *queries, Index heads, Index first, Index last, Index stride,
    float *block, float *scores, const Attended &result) {
  std::fill_n(result.values, heads * stride, 0.0f);
  std::fill_n(result.largest, heads, -INFINITY);
  std::fill_n(result.total, heads, 0.0f);
  for (Index position = first; position < last; position += positionsTogether) {
    const Index count = std::min(positionsTogether, last - position);
    keys.expand(position, count, block, stride);
    for (Index head = 0; head < heads; head++) {
      const float *query = queries + head * stride;
      float *own = scores + head * positionsTogether;
      Index p = 0;
      for (; p + 4 <= count; p += 4) dots<4>(query, block + p * stride, stride, own + p);
      for (; p < count; p++) dots<1>(query, block + p * stride, stride, own + p);
    }
    kept.expand(position, count, block, stride);
    for (Index head = 0; head < heads; head++)
      attendPositions(
          block, scores + head * positionsTogether, count, stride, result.values + head * stride,
          result.largest[head], result.total[head]);
  }
}
