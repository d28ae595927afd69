// Transposing rows: a register of the result holds one column of many rows, as one channel of many slots.
#pragma once

#include "SIMD/Vector.hpp"

namespace ckernels::CK_CODE {

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

#if CK_LANES == 16
/// The quarters A and B of one register, then those of another.
template <int A, int B, std::size_t... I>
CK_INLINE Vector quarters(Vector a, Vector b, std::index_sequence<I...>) {
  return __builtin_shufflevector(a, b, int(I / 8 * 16 + (I / 4 % 2 ? B : A) * 4 + I % 4)...);
}
#endif

/// Transposes a square of four by four in each quarter of four registers.
CK_INLINE void transposeQuads(Vector *v) {
  constexpr auto all = std::make_index_sequence<std::size_t(lanes)>();
  const Vector ab = interleaveLow(v[0], v[1], all), abHigh = interleaveHigh(v[0], v[1], all);
  const Vector de = interleaveLow(v[2], v[3], all), deHigh = interleaveHigh(v[2], v[3], all);
  v[0] = joinLow(ab, de, all);
  v[1] = joinHigh(ab, de, all);
  v[2] = joinLow(abHigh, deHigh, all);
  v[3] = joinHigh(abHigh, deHigh, all);
}

/// Transposes a square of registers.
CK_INLINE void transposeSquare(Vector (&v)[lanes]) {
  [[maybe_unused]] constexpr auto all = std::make_index_sequence<std::size_t(lanes)>();
  // Four rows at a time within each quarter of a register, ...
  CK_UNROLL
  for (int r = 0; r < lanes; r += 4) transposeQuads(v + r);
  // ... then whole quarters.
  CK_UNROLL
  for (int c = 0; c < 4; c++) {
#if CK_LANES == 16
    const Vector ab = quarters<0, 1>(v[c], v[c + 4], all), abHigh = quarters<2, 3>(v[c], v[c + 4], all);
    const Vector de = quarters<0, 1>(v[c + 8], v[c + 12], all);
    const Vector deHigh = quarters<2, 3>(v[c + 8], v[c + 12], all);
    v[c] = quarters<0, 2>(ab, de, all);
    v[c + 4] = quarters<1, 3>(ab, de, all);
    v[c + 8] = quarters<0, 2>(abHigh, deHigh, all);
    v[c + 12] = quarters<1, 3>(abHigh, deHigh, all);
#elif CK_LANES == 8
    const Vector low = __builtin_shufflevector(v[c], v[c + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    v[c + 4] = __builtin_shufflevector(v[c], v[c + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    v[c] = low;
#endif
  }
}

/// The rows of one register. With Part only `count` of them exist, and the last one is repeated for the rest: those lanes
/// are never used, but must not become infinite.
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
    const Eight low = __builtin_shufflevector(loadQuad(row(r) + c), loadQuad(row(r + 4) + c), 0, 1, 2, 3, 4, 5, 6, 7);
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
    CK_UNROLL
    for (int i = 0; i < 4; i++) channels[i] = rows.quads(i, c);
    transposeQuads(channels);
  }
};

/// transposed[c * outStride + r] = row(r)[c] for r < lanes and c < width; adds each row's squares to `squares` unless that
/// is null.
template <bool Part>
CK_INLINE void transposeGroup(
    const RowGroup<Part> &rows, Index width, float *transposed, Index outStride, float *squares) {
  Vector even = 0.0f, odd = 0.0f, v[lanes];
  Index c = 0;
  for (; c + lanes <= width; c += lanes) {
    CK_UNROLL
    for (int r = 0; r < lanes; r++) v[r] = load(rows.row(r) + c);
    transposeSquare(v);
    CK_UNROLL
    for (int i = 0; i < lanes; i++, transposed += outStride) store(transposed, v[i]);
    CK_UNROLL
    for (int i = 0; i < lanes; i += 2) {
      even += v[i] * v[i];
      odd += v[i + 1] * v[i + 1];
    }
  }
  if (c < width) {
    for (int r = 0; r < lanes; r++) v[r] = loadPart(rows.row(r) + c, width - c);
    transposeSquare(v);
    // Past the width there are zeros.
    for (Index i = 0; i < lanes; i += 2) {
      even += v[i] * v[i];
      odd += v[i + 1] * v[i + 1];
    }
    for (Index i = 0; i < width - c; i++, transposed += outStride) store(transposed, v[i]);
  }
  if (squares) store(squares, load(squares) + even + odd);
}

/// Transposes `count` rows of `width` channels, filling whole registers up to `outStride` with copies of the last row.
inline void transpose(
    const float *rows, Index stride, Index count, Index width, float *transposed, Index outStride, float *squares) {
  for (Index r = 0; r < outStride; r += lanes) {
    float *total = squares ? squares + r : nullptr;
    const Index first = std::min(r, count - 1), there = count - first;
    if (there >= lanes)
      transposeGroup(RowGroup<false>{rows + first * stride, stride, lanes}, width, transposed + r, outStride, total);
    else
      transposeGroup(RowGroup<true>{rows + first * stride, stride, there}, width, transposed + r, outStride, total);
  }
}

}  // namespace ckernels::CK_CODE
