// One register of floats of the vector code being compiled, and functions on it.
#pragma once

#include "SIMD/Prelude.hpp"

#define CK_INLINE inline __attribute__((always_inline))
#define CK_UNROLL _Pragma("clang loop unroll(full)")

namespace ckernels::CK_CODE {

using Index = std::ptrdiff_t;

constexpr int lanes = CK_LANES;
typedef float Vector __attribute__((ext_vector_type(CK_LANES)));
typedef float UnalignedVector __attribute__((ext_vector_type(CK_LANES), aligned(4)));
typedef float Quad __attribute__((ext_vector_type(4)));
typedef float UnalignedQuad __attribute__((ext_vector_type(4), aligned(4)));

/// Calls `body(i, j)` for i < Rows and j < Columns, unrolled.
template <int Rows, int Columns, class Body>
CK_INLINE void forEachOf(const Body &body) {
  CK_UNROLL
  for (int i = 0; i < Rows; i++) {
    CK_UNROLL
    for (int j = 0; j < Columns; j++) [[clang::always_inline]]
      body(i, j);
  }
}

CK_INLINE Vector load(const float *p) { return *reinterpret_cast<const UnalignedVector *>(p); }
CK_INLINE void store(float *p, Vector v) { *reinterpret_cast<UnalignedVector *>(p) = v; }

/// Stores a register at an address aligned to it past the caches: for what is read again much later.
CK_INLINE void storeNontemporal(float *p, Vector v) { __builtin_nontemporal_store(v, reinterpret_cast<Vector *>(p)); }

/// Copies floats past the caches where they are whole registers and their target is aligned; through the caches elsewhere.
CK_INLINE void copyNontemporal(const float *from, Index count, float *to) {
  if (count % lanes || reinterpret_cast<std::uintptr_t>(to) % sizeof(Vector)) {
    std::copy_n(from, count, to);
    return;
  }
  for (Index i = 0; i < count; i += lanes) storeNontemporal(to + i, load(from + i));
}

CK_INLINE Quad loadQuad(const float *p) { return *reinterpret_cast<const UnalignedQuad *>(p); }

/// The first `count` < lanes elements, zero in the other lanes; touches no memory beyond them.
CK_INLINE Vector loadPart(const float *p, Index count) {
#if CK_LANES == 16
  return _mm512_maskz_loadu_ps(__mmask16((1u << count) - 1), p);
#else
  alignas(Vector) float padded[lanes] = {};
  for (Index i = 0; i < count; i++) padded[i] = p[i];
  return *reinterpret_cast<const Vector *>(padded);
#endif
}

CK_INLINE void storePart(float *p, Vector v, Index count) {
#if CK_LANES == 16
  _mm512_mask_storeu_ps(p, __mmask16((1u << count) - 1), v);
#else
  for (Index i = 0; i < count; i++) p[i] = v[i];
#endif
}

/// One register of a row, or with Part its first `count` elements.
template <bool Part>
CK_INLINE Vector loadTile(const float *p, Index count) {
  if constexpr (Part) return loadPart(p, count);
  return load(p);
}

template <bool Part>
CK_INLINE void storeTile(float *p, Vector v, Index count) {
  if constexpr (Part)
    storePart(p, v, count);
  else
    store(p, v);
}

/// With Part zero in the lanes from `count` on.
template <bool Part>
CK_INLINE Vector firstOf(Vector v, Index count) {
  if constexpr (Part)
    for (Index i = count; i < lanes; i++) v[i] = 0.0f;
  return v;
}

CK_INLINE float sum(Vector v) {
  float total[lanes];
  store(total, v);
  CK_UNROLL
  for (int width = lanes / 2; width > 0; width /= 2) {
    CK_UNROLL
    for (int i = 0; i < width; i++) total[i] += total[i + width];
  }
  return total[0];
}

CK_INLINE Vector squareRoot(Vector v) { return __builtin_elementwise_sqrt(v); }

/// The factor that the argument of `hyperbolicTangent` must be multiplied by.
constexpr float tangentUnit = 0.017870983f;

/// tanh(x / tangentUnit) within 4e-7: x P(x^2) / Q(x^2) with both of degree four, fitted for least relative error up to
/// tanh(8), beyond which tanh rounds to 1. Both have four negative roots, so that each is a product of two quadratics
/// without cancellation, with an addition in place of every other multiplication; the unit makes their leading
/// coefficients 1. The comparisons are written so that a NaN stays one.
CK_INLINE Vector hyperbolicTangent(Vector x) {
  const Vector bound = 8.0f * tangentUnit;
  x = bound < x ? bound : x;
  x = -bound > x ? -bound : x;
  const Vector s = x * x;
  const Vector p = (s * (s + 0.40443683f) + 1.2650293e-03f) * (s * (s + 0.054678336f) + 5.399728e-04f);
  const Vector q = (s * (s + 0.09840907f) + 7.692738e-05f) * (s * (s + 0.029426035f) + 1.586865e-04f);
  return x * p / q;
}

/// e^x within two units in the last place, for x from -87 to 88; beyond that the value at the bound. A NaN stays one.
///
/// x = k ln 2 + r with |r| at most ln 2 / 2: k goes into the exponent, and e^r is a polynomial.
CK_INLINE Vector exponential(Vector x) {
  typedef int Integers __attribute__((ext_vector_type(CK_LANES)));
  const Vector low = -87.0f, high = 88.0f;
  x = high < x ? high : x;
  x = low > x ? low : x;
  // Adding and subtracting 1.5 * 2^23 rounds to an integer.
  const Vector rounding = 12582912.0f, k = (x * 1.44269504f + rounding) - rounding;
  const Vector r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  Vector p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Integers exponent = (__builtin_convertvector(k == k ? k : Vector(0.0f), Integers) + 127) << 23;
  return p * __builtin_bit_cast(Vector, exponent);
}

/// 1 / (1 + e^-x).
CK_INLINE Vector logistic(Vector x) { return 1.0f / (1.0f + exponential(-x)); }

}  // namespace ckernels::CK_CODE
