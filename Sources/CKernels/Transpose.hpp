// Slots side by side: the state of a block turned so that a register holds one channel of many slots.
#pragma once

template <std::size_t... I>
CK_INLINE Vector interleaveLow(Vector a, Vector b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, int(I / 4 * 4 + I % 4 / 2 + I % 2 * lanes)...);
}
template <std::size_t... I>
CK_INLINE Vector interleaveHigh(Vector a, Vector b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, int(I / 4 * 4 + 2 + I % 4 / 2 + I % 2 * lanes)...);
}
template <std::size_t... I>
CK_INLINE Vector joinLow(Vector a, Vector b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, int(I / 4 * 4 + I % 2 + I % 4 / 2 * lanes)...);
}
template <std::size_t... I>
CK_INLINE Vector joinHigh(Vector a, Vector b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, int(I / 4 * 4 + 2 + I % 2 + I % 4 / 2 * lanes)...);
}

/// Where the rows of one register's worth of slots begin. With Part only `count` of them are there, and the last one
/// stands in for the rest: what comes of those lanes is never used, but must not be an infinity made from nothing.
template <bool Part>
struct RowGroup {
  const float *first;
  Index stride;
  Index count;

  CK_INLINE const float *row(Index r) const { return first + (Part ? std::min(r, count - 1) : r) * stride; }

  /// Four channels from c on of the rows r + 4 q, q < lanes / 4: one row in each quarter of the register.
  CK_INLINE Vector quads(Index r, Index c) const {
#if CK_LANES == 4
    return loadQuad(row(r) + c);
#else
    typedef float Eight __attribute__((ext_vector_type(8)));
    const Eight low =
        __builtin_shufflevector(loadQuad(row(r) + c), loadQuad(row(r + 4) + c), 0, 1, 2, 3, 4, 5, 6, 7);
#if CK_LANES == 8
    return low;
#else
    const Eight high =
        __builtin_shufflevector(loadQuad(row(r + 8) + c), loadQuad(row(r + 12) + c), 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
#endif
  }
};

/// Four channels of a group's rows, from c on: a register for each.
struct FourChannels {
  Vector channels[4];

  template <bool Part>
  CK_INLINE FourChannels(const RowGroup<Part> &rows, Index c) {
    constexpr auto all = std::make_index_sequence<std::size_t(lanes)>();
    const Vector a = rows.quads(0, c), b = rows.quads(1, c), d = rows.quads(2, c), e = rows.quads(3, c);
    const Vector ab = interleaveLow(a, b, all), abHigh = interleaveHigh(a, b, all);
    const Vector de = interleaveLow(d, e, all), deHigh = interleaveHigh(d, e, all);
    channels[0] = joinLow(ab, de, all);
    channels[1] = joinHigh(ab, de, all);
    channels[2] = joinLow(abHigh, deHigh, all);
    channels[3] = joinHigh(abHigh, deHigh, all);
  }
};

/// turned[c * outStride + r] = row(r)[c] for r < lanes and c < width; adds each row's squares to `squares` unless that
/// is null.
template <bool Part>
CK_INLINE void transposeGroup(
    const RowGroup<Part> &rows, Index width, float *turned, Index outStride, float *squares) {
  Vector even = 0.0f, odd = 0.0f;
  Index c = 0;
  for (; c + 4 <= width; c += 4, turned += 4 * outStride) {
    const FourChannels four(rows, c);
    CK_UNROLL
    for (int i = 0; i < 4; i++) {
      store(turned + i * outStride, four.channels[i]);
      (i % 2 == 0 ? even : odd) += four.channels[i] * four.channels[i];
    }
  }
  for (; c < width; c++, turned += outStride) {
    for (int r = 0; r < lanes; r++) turned[r] = rows.row(r)[c];
    const Vector v = load(turned);
    even += v * v;
  }
  if (squares) store(squares, load(squares) + even + odd);
}

/// Turns `count` rows of `width` channels, filling whole registers up to `outStride` with copies of the last one.
inline void transpose(
    const float *rows, Index stride, Index count, Index width, float *turned, Index outStride, float *squares) {
  for (Index r = 0; r < outStride; r += lanes) {
    float *total = squares ? squares + r : nullptr;
    const Index first = std::min(r, count - 1), there = count - first;
    if (there >= lanes)
      transposeGroup(RowGroup<false>{rows + first * stride, stride, lanes}, width, turned + r, outStride, total);
    else
      transposeGroup(RowGroup<true>{rows + first * stride, stride, there}, width, turned + r, outStride, total);
  }
}
