// Attention of a few new positions over the keys and values that are kept of earlier ones.
#pragma once

/// Positions whose scores are made probabilities together.
constexpr Index positionsTogether = 32;

/// How far keys are asked for before they are needed; values are when their keys are.
constexpr Index positionsAhead = 16;

/// Heads that share what is read of a key or a value, as many as there are registers for their sums.
constexpr int headsTogether = CK_REGISTERS == 32 ? 4 : 2;

/// Keys or values of one head, as they are kept. `isWhole`: a row fills whole registers.
template <class Form, bool isWhole>
struct Kept {
  static constexpr Index bytes = Form::bytes / Form::chunk;
  const std::uint8_t *values;
  const float *scales;  ///< for whole numbers, one a position
  Index width;

  Kept(const ck_memory &text, bool isKeys, Index head, Index width) : scales(nullptr), width(width) {
    const Index first = head * text.capacity;
    values = static_cast<const std::uint8_t *>(isKeys ? text.keys : text.values) + first * width * bytes;
    if (Form::isScaled) scales = (isKeys ? text.key_scales : text.value_scales) + first;
  }

  /// One register of a position's floats without their scale, zero beyond the head's width.
  CK_INLINE Vector piece(Index position, Index c) const {
    const std::uint8_t *p = values + (position * width + c) * bytes;
    if (isWhole || c + lanes <= width) return Form::piece(Form::raw(p), 0);
    std::uint8_t padded[lanes * bytes] = {};
    std::memcpy(padded, p, std::size_t((width - c) * bytes));
    return Form::piece(Form::raw(padded), 0);
  }

  CK_INLINE float scale(Index position) const { return Form::isScaled ? scales[position] : 1; }

  CK_INLINE void prefetch(Index position) const {
    for (Index line = 0; line < width * bytes; line += 64) __builtin_prefetch(values + position * width * bytes + line);
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

/// What meets a stretch of positions: queries [heads, stride], already scaled, and room for [heads, positionsTogether].
struct Meeting {
  const float *queries;
  Index stride;
  float *scores;
};

/// Queries with `Count` consecutive keys, side by side: a sum must not wait for the one before.
template <int Heads, int Count, class Keys>
CK_INLINE void addScores(const Keys &keys, const Meeting &meeting, Index head, Index first, Index place) {
  Vector sums[Heads][Count] = {};
  for (Index c = 0; c < meeting.stride; c += lanes) {
    Vector key[Count];
    CK_UNROLL
    for (int each = 0; each < Count; each++) key[each] = keys.piece(first + place + each, c);
    CK_UNROLL
    for (int h = 0; h < Heads; h++) {
      const Vector query = load(meeting.queries + (head + h) * meeting.stride + c);
      CK_UNROLL
      for (int each = 0; each < Count; each++) sums[h][each] += query * key[each];
    }
  }
  CK_UNROLL
  for (int h = 0; h < Heads; h++)
    CK_UNROLL
    for (int each = 0; each < Count; each++)
      meeting.scores[(head + h) * positionsTogether + place + each] =
          sumByHalves(sums[h][each]) * keys.scale(first + place + each);
}

/// Scores of up to positionsTogether positions made e^(score - the largest so far); gives by how much earlier sums shrink.
inline float weigh(float *scores, Index count, float &largest, float &total) {
  float most = largest;
  for (Index p = 0; p < count; p++) most = std::max(most, scores[p]);
  const float keeps = std::exp(largest - most);
  Index p = 0;
  for (; p + lanes <= count; p += lanes) store(scores + p, exponential(load(scores + p) - most));
  if (p < count) storePart(scores + p, exponential(loadPart(scores + p, count - p) - most), count - p);
  total *= keeps;
  for (p = 0; p < count; p++) total += scores[p];
  largest = most;
  return keeps;
}

/// `Width` registers of the values' sums, from column `c`.
template <int Heads, int Width, class Values>
CK_INLINE void addValues(
    const Values &values, const float *weights, Index first, Index count, Index stride, Index c, const float *keeps,
    float *results) {
  Vector sums[Heads][Width];
  CK_UNROLL
  for (int h = 0; h < Heads; h++)
    CK_UNROLL
    for (int w = 0; w < Width; w++) sums[h][w] = load(results + h * stride + c + w * lanes) * keeps[h];
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
  CK_UNROLL
  for (int h = 0; h < Heads; h++)
    CK_UNROLL
    for (int w = 0; w < Width; w++) store(results + h * stride + c + w * lanes, sums[h][w]);
}

/// `count` positions from `first` taken into what `Heads` heads from `head` have attended so far.
template <int Heads, class Memory>
void attendHeads(
    const Memory &keys, const Memory &values, const Meeting &meeting, Index head, Index first, Index count,
    const Attended &result) {
  Index place = 0;
  for (; place + 4 <= count; place += 4) {
    for (Index each = first + place; each < first + place + 4; each++) {
      keys.prefetch(each + positionsAhead);
      values.prefetch(each);
    }
    addScores<Heads, 4>(keys, meeting, head, first, place);
  }
  for (; place < count; place++) addScores<Heads, 1>(keys, meeting, head, first, place);
  float *weights = meeting.scores + head * positionsTogether, keeps[Heads];
  for (int h = 0; h < Heads; h++)
    keeps[h] = weigh(weights + h * positionsTogether, count, result.largest[head + h], result.total[head + h]);
  float *results = result.values + head * meeting.stride;
  Index c = 0;
  for (; c + 4 * lanes <= meeting.stride; c += 4 * lanes)
    addValues<Heads, 4>(values, weights, first, count, meeting.stride, c, keeps, results);
  for (; c < meeting.stride; c += lanes)
    addValues<Heads, 1>(values, weights, first, count, meeting.stride, c, keeps, results);
}

template <class Memory>
void attendPositions(
    const Memory &keys, const Memory &values, const Meeting &meeting, Index heads, Index first, Index last,
    const Attended &result) {
  std::fill_n(result.values, heads * meeting.stride, 0.0f);
  std::fill_n(result.largest, heads, -INFINITY);
  std::fill_n(result.total, heads, 0.0f);
  for (Index position = first; position < last; position += positionsTogether) {
    const Index count = std::min(positionsTogether, last - position);
    Index head = 0;
    for (; head + headsTogether <= heads; head += headsTogether)
      attendHeads<headsTogether>(keys, values, meeting, head, position, count, result);
    if (headsTogether > 2 && head + 2 <= heads) {
      attendHeads<2>(keys, values, meeting, head, position, count, result);
      head += 2;
    }
    for (; head < heads; head++) attendHeads<1>(keys, values, meeting, head, position, count, result);
  }
}

/// Some heads' queries of one position over positions [first, last) of the key's head that they share.
template <class Form>
void attendForm(
    const ck_memory &text, Index head, Index width, const Meeting &meeting, Index heads, Index first, Index last,
    const Attended &result) {
  if (width % lanes == 0) {
    typedef Kept<Form, true> Memory;
    const Memory keys(text, true, head, width), values(text, false, head, width);
    attendPositions(keys, values, meeting, heads, first, last, result);
  } else {
    typedef Kept<Form, false> Memory;
    const Memory keys(text, true, head, width), values(text, false, head, width);
    attendPositions(keys, values, meeting, heads, first, last, result);
  }
}

inline void attend(
    const ck_memory &text, Index head, Index width, const Meeting &meeting, Index heads, Index first, Index last,
    const Attended &result) {
  switch (text.form) {
    case CK_FLOAT32: return attendForm<Float32Form>(text, head, width, meeting, heads, first, last, result);
    case CK_BFLOAT16: return attendForm<BFloat16Form>(text, head, width, meeting, heads, first, last, result);
    default: return attendForm<Int8Form>(text, head, width, meeting, heads, first, last, result);
  }
}
