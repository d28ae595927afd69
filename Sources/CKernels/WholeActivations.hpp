// Activations as whole numbers, for weights that are whole numbers: a register multiplies twice as many of them as floats.
//
// A weight of four bits costs more to turn into a float than to read from memory. Taken as it is, it meets activations of
// 16 bits, of which eight share a scale: an activation changes by no more than 1 / 65,534 of the largest of its eight, which is a
// thousandth of what rounding to four bits did to the weights.
#pragma once

/// Each lane gains the products of its two pairs, with `Dots` by the one instruction that some processors have for it.
template <bool Dots>
CK_INLINE Integers addPairs(Integers sums, Pairs a, Pairs b) {
#if CK_LANES == 16
  if constexpr (Dots) {
    // The compiler would take the intrinsic apart again.
    asm("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
    return sums;
  }
  return sums + Integers(_mm512_madd_epi16(__m512i(a), __m512i(b)));
#elif CK_LANES == 8
  return sums + Integers(_mm256_madd_epi16(__m256i(a), __m256i(b)));
#else
  return sums + __builtin_convertvector(a.even, Integers) * __builtin_convertvector(b.even, Integers) +
         __builtin_convertvector(a.odd, Integers) * __builtin_convertvector(b.odd, Integers);
#endif
}

/// 128 activations as Int4Form's weights meet them: word d of the sixteen meets numbers [i][d] after a shift by 4 i, which
/// leaves its nibbles i and i + 4.
struct WholeBlock {
  std::int16_t numbers[4][16][2];
  std::int32_t offsets[16];  ///< -8 times the sum of a word's numbers: nibbles lie 8 above their weights
  float scales[16];

  static constexpr Index floats = 96;

  static Index count(Index inputs) { return (inputs + 127) / 128; }

  /// A row of activations, zero up to a whole block.
  static void arrange(const float *x, Index count, WholeBlock *blocks) {
    const Index whole = count / 128;
    for (Index block = 0; block < whole; block++) blocks[block].take(x + block * 128);
    if (whole * 128 == count) return;
    float last[128] = {};
    std::copy_n(x + whole * 128, count - whole * 128, last);
    blocks[whole].take(last);
  }

  /// Numbers i of some words, from `first` on.
  CK_INLINE Pairs pairs(int i, Index first) const {
    Pairs some;
    __builtin_memcpy(&some, numbers[i][first], sizeof(some));
    return some;
  }

  CK_INLINE Integers offsetsFrom(Index first) const {
    Integers some;
    __builtin_memcpy(&some, offsets + first, sizeof(some));
    return some;
  }

 private:
  CK_INLINE void take(const float *x) {
    CK_UNROLL
    for (Index first = 0; first < 16; first += lanes) takeWords(x, first);
  }

  CK_INLINE void takeWords(const float *x, Index first) {
    Vector own[8], most = 0.0f, total = 0.0f;
    CK_UNROLL
    for (int j = 0; j < 8; j++) {
      CK_UNROLL
      for (Index quad = 0; quad < lanes / 4; quad++)
        __builtin_memcpy(
            reinterpret_cast<float *>(&own[j]) + quad * 4, x + (first / 4 + quad) * 32 + j * 4, 4 * sizeof(float));
      most = __builtin_elementwise_max(most, __builtin_elementwise_abs(own[j]));
      total += own[j];
    }
    // Below that the inverse could be infinite.
    const Vector inverse = most > 0x1p-110f ? 32767.0f / most : 0.0f;
    Integers number[8], sum = 0;
    CK_UNROLL
    for (int j = 0; j < 8; j++) {
      // Adding 1.5 * 2^23 leaves the nearest whole number in the lowest bits.
      number[j] = __builtin_bit_cast(Integers, own[j] * inverse + 12582912.0f) - 0x4b400000;
      sum += number[j];
    }
    CK_UNROLL
    for (int i = 0; i < 4; i++) {
      const Integers both = (number[i] & 0xffff) | number[i + 4] << 16;
      __builtin_memcpy(numbers[i][first], &both, sizeof(both));
    }
    const Integers offset = sum * -8;
    __builtin_memcpy(offsets + first, &offset, sizeof(offset));
    // What is no number, or infinite, shall stay so.
    store(scales + first, most * (1 / 32767.0f) + total * 0.0f);
  }
};

static_assert(sizeof(WholeBlock) == WholeBlock::floats * sizeof(float));
