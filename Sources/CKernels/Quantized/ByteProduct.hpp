// Weights of four bits times the high and the low bytes of activations of 16 bits, by instructions that multiply bytes: for
// AVX-512, and for the portable code with ordinary arithmetic.
#pragma once

#include "Quantized/Int16Activations.hpp"

#if CK_LANES != 8

namespace ckernels::CK_CODE {

/// The sum of the 32 products of a group in each lane: weights from 0 to 15 times bytes from -128 to 127.
template <bool Dots>
struct GroupSum {
#if CK_LANES == 16
  typedef std::int16_t Pairs __attribute__((ext_vector_type(2 * CK_LANES)));
#endif
  Integers value = 0;

  /// Adds four products in each lane, with `Dots` by one instruction that not all processors have.
  CK_INLINE void add(Words weights, Words bytes) {
#if CK_LANES == 16
    if constexpr (Dots) {
      // Assembly, because the code around it is compiled for processors without the instruction.
      asm("vpdpbusd %2, %1, %0" : "+v"(value) : "v"(weights), "v"(bytes));
    } else {
      // Eight times two products of at most 15 * 128 fit into 16 bits.
      Pairs pairs = __builtin_bit_cast(Pairs, value);
      pairs += __builtin_bit_cast(Pairs, _mm512_maddubs_epi16(__m512i(weights), __m512i(bytes)));
      value = __builtin_bit_cast(Integers, pairs);
    }
#else
    CK_UNROLL
    for (int byte = 0; byte < 4; byte++)
      value += __builtin_bit_cast(Integers, weights >> (8 * byte) & 255u) *
               (__builtin_bit_cast(Integers, bytes << (24 - 8 * byte)) >> 24);
#endif
  }

  CK_INLINE Integers total() const {
#if CK_LANES == 16
    if constexpr (!Dots) return Integers(_mm512_madd_epi16(__m512i(value), _mm512_set1_epi16(1)));
#endif
    return value;
  }
};

/// The first eight words of a group hold the high bytes of its integers, the other eight the low bytes.
struct ByteLayout {
  CK_INLINE static void put(std::uint8_t (&row)[64], int first, Integers integers) {
    typedef std::int8_t Narrow __attribute__((ext_vector_type(CK_LANES)));
    // The low byte is from -128 to 127, and the high byte is rounded accordingly.
    const Narrow high = __builtin_convertvector((integers + 128) >> 8, Narrow);
    const Narrow low = __builtin_convertvector(integers, Narrow);
    __builtin_memcpy(row + first, &high, sizeof(high));
    __builtin_memcpy(row + 32 + first, &low, sizeof(low));
  }

  /// Eight times the sums of some groups' integers.
  CK_INLINE static Integers eightfold(const Int16Block<ByteLayout> &block, Index first) {
    GroupSum<false> high, low;
    CK_UNROLL
    for (int word = 0; word < 8; word++) {
      high.add(0x08080808u, block.word(word, first));
      low.add(0x08080808u, block.word(8 + word, first));
    }
    return (high.total() << 8) + low.total();
  }
};

/// Four-bit weights for activations of 16 bits, with the instruction for dot products or without.
template <bool Dots>
struct ByteInt4Format : Int4Format {
  typedef Int16Block<ByteLayout> Block;
  static constexpr bool isInteger = true;

  template <int Rows>
  static constexpr int outputsTogether = CK_REGISTERS == 32 ? 2 : 1;

  /// The first or the second four of the eight weights of each word, plus 8, as bytes.
  static CK_INLINE Words half(Raw raw, int h) { return raw >> (4 * h) & 0x0f0f0f0fu; }

  /// Adds a chunk. A group's sum is an integer, which is then multiplied by both scales. Prefetches are spread evenly,
  /// because many at once would stall.
  template <int Rows, int Outputs>
  static CK_INLINE void step(const Int16Step &step, Vector (&sums)[Outputs][Rows]) {
    for (Index first = 0; first < groups; first += lanes) {
      GroupSum<Dots> high[Outputs][Rows], low[Outputs][Rows];
      CK_UNROLL
      for (int t = 0; t < wordsOfGroup; t++) {
        Words words[Outputs];
        step.loadWords(t, first, words);
        CK_UNROLL
        for (int h = 0; h < 2; h++) {
          CK_UNROLL
          for (int row = 0; row < Rows; row++) {
            const Block &block = step.block<Block>(row);
            const Words highs = block.word(2 * t + h, first), lows = block.word(8 + 2 * t + h, first);
            CK_UNROLL
            for (int output = 0; output < Outputs; output++) {
              const Words weights = half(words[output], h);
              high[output][row].add(weights, highs);
              low[output][row].add(weights, lows);
              if (first == 0 && row == 0 && output % 2 == h) prefetchOnce(step.next + (t * Outputs + output) * 64);
            }
          }
        }
      }
      addScaledGroups<Block>(step, first, sums, [&](int output, int row) __attribute__((always_inline)) {
        return (high[output][row].total() << 8) + low[output][row].total();
      });
    }
  }
};

/// The formats of integer weights in skinny products.
typedef Int8Format SkinnyInt8Format;
template <bool Dots>
using SkinnyInt4Format = ByteInt4Format<Dots>;

}  // namespace ckernels::CK_CODE

#endif
