// Sums and maxima of rows of floats.
#pragma once

#include "SIMD/Loops.hpp"

namespace ckernels::CK_CODE {

/// The sum of all lanes by halves, of which many can be computed in parallel.
CK_INLINE float sumByHalves(Vector v) {
#if CK_LANES == 16
  const auto eight = v.lo + v.hi;
  const Quad four = eight.lo + eight.hi;
#elif CK_LANES == 8
  const Quad four = v.lo + v.hi;
#else
  const Quad four = v;
#endif
  const auto two = four.lo + four.hi;
  return two.x + two.y;
}

CK_INLINE float meanSquare(const float *x, Index width) {
  Vector even = 0.0f, odd = 0.0f;
  Index c = 0;
  for (; c + 2 * lanes <= width; c += 2 * lanes) {
    const Vector a = load(x + c), b = load(x + c + lanes);
    even += a * a;
    odd += b * b;
  }
  for (; c < width; c += lanes) {
    const Vector a = c + lanes <= width ? load(x + c) : loadPart(x + c, width - c);
    even += a * a;
  }
  return sum(even + odd) / float(width);
}

CK_INLINE float innerProduct(const float *a, const float *b, Index width) {
  Vector total = 0.0f;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) {
    total += loadTile<isPart>(a + c, count) * loadTile<isPart>(b + c, count);
  });
  return sum(total);
}

CK_INLINE float maximumOf(const float *x, Index width) {
  float maximum = x[0];
  Vector all = maximum;
  Index c = 0;
  for (; c + lanes <= width; c += lanes) {
    const Vector v = load(x + c);
    all = v > all ? v : all;
  }
  for (int i = 0; i < lanes; i++) maximum = all[i] > maximum ? all[i] : maximum;
  for (; c < width; c++) maximum = x[c] > maximum ? x[c] : maximum;
  return maximum;
}

/// Whether all elements are finite: only then the product of each with zero is zero.
CK_INLINE bool areFinite(const float *x, Index width) {
  Vector zeros = 0.0f;
  forEachRegister(0, width, [&](auto isPart, Index c, Index count) { zeros += loadTile<isPart>(x + c, count) * 0.0f; });
  return sum(zeros) == 0;
}

}  // namespace ckernels::CK_CODE
