// Many short inner products along the channels: cheaper than transposing the state where slots or columns are few.
#pragma once

#include "SIMD/BlockPrefetch.hpp"
#include "SIMD/Transpose.hpp"

namespace ckernels::CK_CODE {

/// The sums of the elements of a, b, c and d.
CK_INLINE Quad sums(Vector a, Vector b, Vector c, Vector d) {
  constexpr auto all = std::make_index_sequence<std::size_t(lanes)>();
  const Vector ab = interleaveLow(a, b, all) + interleaveHigh(a, b, all);
  const Vector cd = interleaveLow(c, d, all) + interleaveHigh(c, d, all);
  const Vector each = joinLow(ab, cd, all) + joinHigh(ab, cd, all);
#if CK_LANES == 4
  return each;
#else
  typedef float Eight __attribute__((ext_vector_type(8)));
#if CK_LANES == 8
  const Eight half = each;
#else
  const Eight half = __builtin_shufflevector(each, each, 0, 1, 2, 3, 4, 5, 6, 7) +
                     __builtin_shufflevector(each, each, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
  return __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
#endif
}

/// out[j] = the sum of the squares of row j, j < count.
inline void sumSquares(const float *rows, Index stride, Index count, Index width, float *out) {
  for (Index j = 0; j < count; j += 4) {
    const float *row[4];
    Vector each[4] = {};
    // Past the last row, the last row is repeated.
    for (Index i = 0; i < 4; i++) row[i] = rows + std::min(j + i, count - 1) * stride;
    Index c = 0;
    for (; c + lanes <= width; c += lanes) {
      CK_UNROLL
      for (int i = 0; i < 4; i++) each[i] += load(row[i] + c) * load(row[i] + c);
    }
    if (c < width)
      for (Index i = 0; i < 4; i++) {
        const Vector rest = loadPart(row[i] + c, width - c);
        each[i] += rest * rest;
      }
    const Quad total = sums(each[0], each[1], each[2], each[3]);
    for (Index i = 0; i < std::min<Index>(4, count - j); i++) out[j + i] = total[i];
  }
}

/// out[k * outRow + j] = sum over c < width of left[k * leftRow + c] * right[j * rightRow + c], k < lefts, j < rights.
struct InnerProducts {
  float *out;
  Index outRow;
  const float *left;
  Index leftRow, lefts;
  const float *right;
  Index rightRow, rights;
  Index width;
  BlockPrefetch *prefetch;  ///< advanced within the products
};

template <int Lefts, int Rights, bool Part>
CK_INLINE void addStep(Vector (&each)[Lefts][4], const InnerProducts &p, Index k, Index j, Index c, Index count) {
  Vector right[Rights];
  CK_UNROLL
  for (int b = 0; b < Rights; b++) right[b] = loadTile<Part>(p.right + (j + b) * p.rightRow + c, count);
  CK_UNROLL
  for (int a = 0; a < Lefts; a++) {
    const Vector left = loadTile<Part>(p.left + (k + a) * p.leftRow + c, count);
    CK_UNROLL
    for (int b = 0; b < Rights; b++) each[a][b] += left * right[b];
  }
}

template <int Lefts, int Rights>
void innerTile(const InnerProducts &p, Index k, Index j) {
  Vector each[Lefts][4] = {};
  Index c = 0;
  BlockPrefetch::Stream stream = p.prefetch->take(p.width / lanes);
  for (; c + lanes <= p.width; c += lanes) {
    stream.step();
    addStep<Lefts, Rights, false>(each, p, k, j, c, 0);
  }
  if (c < p.width) addStep<Lefts, Rights, true>(each, p, k, j, c, p.width - c);
  CK_UNROLL
  for (int a = 0; a < Lefts; a++) {
    const Quad total = sums(each[a][0], each[a][1], each[a][2], each[a][3]);
    float *out = p.out + (k + a) * p.outRow + j;
    CK_UNROLL
    for (int b = 0; b < Rights; b++) out[b] = total[b];
  }
}

template <int Lefts>
void innerRows(const InnerProducts &p, Index k) {
  Index j = 0;
  for (; j + 4 <= p.rights; j += 4) innerTile<Lefts, 4>(p, k, j);
  switch (p.rights - j) {
    case 3: return innerTile<Lefts, 3>(p, k, j);
    case 2: return innerTile<Lefts, 2>(p, k, j);
    case 1: return innerTile<Lefts, 1>(p, k, j);
    default: return;
  }
}

CK_INLINE void compute(const InnerProducts &p) {
  constexpr int tall = CK_REGISTERS == 32 ? 4 : 2;
  Index k = 0;
  for (; k + tall <= p.lefts; k += tall) innerRows<tall>(p, k);
  switch (p.lefts - k) {
    case 3: return innerRows < tall == 4 ? 3 : 1 > (p, k);
    case 2: return innerRows < tall == 4 ? 2 : 1 > (p, k);
    case 1: return innerRows<1>(p, k);
    default: return;
  }
}

}  // namespace ckernels::CK_CODE
