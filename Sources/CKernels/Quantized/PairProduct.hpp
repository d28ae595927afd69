// Weights of four or eight bits times activations of 16 bits for AVX2, by the instruction that multiplies pairs of 16-bit
// integers and adds the two products. A weight is widened to 16 bits once for all rows. AVX2 cannot add four products of
// bytes in one instruction, so this takes the fewest operations.
#pragma once

#include "Quantized/Int16Activations.hpp"

#if CK_LANES == 8

namespace ckernels::CK_CODE {

/// The sum of two products in every lane.
CK_INLINE Integers pairProducts(Words weights, Words numbers) {
  return Integers(_mm256_madd_epi16(__m256i(weights), __m256i(numbers)));
}

/// An addition that the compiler does not reorder: it would compute all products first, more than the registers hold.
CK_INLINE void addInOrder(Integers &sum, Integers products) {
  sum += products;
  asm("" : "+x"(sum));
}

/// The order of a group's activations for Int4Format. Nibbles n and n + 4 of weight word t are 16 bits apart, so one shift
/// and one mask give both weights. Word 4 t + n of the activations holds the two integers that they are multiplied by.
struct PairLayout {
  CK_INLINE static void put(std::uint8_t (&row)[64], int first, Integers numbers) {
    typedef std::int32_t Four __attribute__((ext_vector_type(4)));
    const Four low = __builtin_shufflevector(numbers, numbers, 0, 4, 1, 5);
    const Four high = __builtin_shufflevector(numbers, numbers, 2, 6, 3, 7);
    const Four words = (low & 0xffff) | high << 16;
    __builtin_memcpy(row + 2 * first, &words, sizeof(words));
  }

  /// Eight times the sums of some groups' integers.
  CK_INLINE static Integers eightfold(const Int16Block<PairLayout> &block, Index first) {
    Integers sum = 0;
    CK_UNROLL
    for (int word = 0; word < 16; word++) sum += pairProducts(Words(0x00080008u), block.word(word, first));
    return sum;
  }
};

struct PairInt4Format : Int4Format {
  typedef Int16Block<PairLayout> Block;
  static constexpr bool isInteger = true;

  template <int Rows>
  static constexpr int outputsTogether = Rows <= 2 ? 2 : 1;

  /// Nibbles n and n + 4 of every word: the weights plus 8.
  static CK_INLINE Words pair(Raw raw, int n) {
    const Words shifted = Words(_mm256_srli_epi16(__m256i(raw), 4 * n));
    return n == 3 ? shifted : shifted & 0x000f000fu;
  }

  /// Adds a chunk. A group's sum is an integer, which is then multiplied by both scales. Prefetches are spread evenly,
  /// because many at once would stall.
  template <int Rows, int Outputs>
  static CK_INLINE void step(const Int16Step &step, Vector (&sums)[Outputs][Rows]) {
    for (Index first = 0; first < groups; first += lanes) {
      Integers total[Outputs][Rows];
      CK_UNROLL
      for (int t = 0; t < wordsOfGroup; t++) {
        Words words[Outputs];
        step.loadWords(t, first, words);
        CK_UNROLL
        for (int n = 0; n < 4; n++) {
          Words weights[Outputs];
          CK_UNROLL
          for (int output = 0; output < Outputs; output++) weights[output] = pair(words[output], n);
          CK_UNROLL
          for (int row = 0; row < Rows; row++) {
            const Words numbers = step.block<Block>(row).word(4 * t + n, first);
            CK_UNROLL
            for (int output = 0; output < Outputs; output++) {
              const Integers products = pairProducts(weights[output], numbers);
              if (t == 0 && n == 0)
                total[output][row] = products;
              else
                addInOrder(total[output][row], products);
            }
          }
        }
        if (t % 2 == 0) {
          CK_UNROLL
          for (int output = 0; output < Outputs; output++)
            prefetchOnce(step.next + ((first / 4 + t / 2) * Outputs + output) * 64);
        }
      }
      addScaledGroups<Block>(
          step, first, sums, [&](int output, int row) __attribute__((always_inline)) { return total[output][row]; });
    }
  }
};

/// 256 activations in order as 16-bit integers, with one scale for every 32.
struct Int16Groups {
  std::int16_t numbers[8][32];
  float scales[8];

  static constexpr Index inputs = 256, floats = 136;

  void take(const float *x) {
    typedef std::int16_t Narrow __attribute__((ext_vector_type(CK_LANES)));
    float inverse[8];
    scaleGroups(x, scales, inverse);
    for (Index group = 0; group < 8; group++) {
      CK_UNROLL
      for (int i = 0; i < 32; i += lanes) {
        const Integers nearest = nearestIntegers(load(x + group * 32 + i), inverse[group]);
        const Narrow narrow = __builtin_convertvector(nearest, Narrow);
        __builtin_memcpy(numbers[group] + i, &narrow, sizeof(narrow));
      }
    }
  }

  /// The first or the second half of a group.
  CK_INLINE Words half(int group, int h) const {
    Words some;
    __builtin_memcpy(&some, numbers[group] + 16 * h, sizeof(some));
    return some;
  }
};

static_assert(sizeof(Int16Groups) == Int16Groups::floats * sizeof(float));

struct PairInt8Format : Int8Format {
  typedef Int16Groups Block;
  static constexpr bool isInteger = true;
  static constexpr Index chunk = Int16Groups::inputs, bytes = chunk, groups = 8;

  template <int Rows>
  static constexpr int outputsTogether = Rows == 1 ? 2 : 1;

  /// Half a group's weights.
  static CK_INLINE Words widened(const std::uint8_t *p) {
    return Words(_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p))));
  }

  template <int Rows, int Outputs>
  static CK_INLINE void step(const Int16Step &step, Vector (&sums)[Outputs][Rows]) {
    // The product of both scales for each group.
    float scales[Outputs][Rows][groups];
    CK_UNROLL
    for (int output = 0; output < Outputs; output++) {
      const Vector scale = Int4Format::scale(step.scales + output * step.scaleStride);
      CK_UNROLL
      for (int row = 0; row < Rows; row++) store(scales[output][row], scale * load(step.block<Block>(row).scales));
    }
    CK_UNROLL
    for (int group = 0; group < groups; group++) {
      CK_UNROLL
      for (int output = 0; output < Outputs; output++) {
        const std::uint8_t *p = step.weights + output * step.stride + group * 32;
        const Words first = widened(p), second = widened(p + 16);
        CK_UNROLL
        for (int row = 0; row < Rows; row++) {
          const Block &block = step.block<Block>(row);
          const Integers total = pairProducts(first, block.half(group, 0)) + pairProducts(second, block.half(group, 1));
          sums[output][row] += __builtin_convertvector(total, Vector) * scales[output][row][group];
        }
        if (group % 2 == 0) prefetchOnce(step.next + (group / 2 * Outputs + output) * 64);
      }
    }
  }
};

/// The formats of integer weights in skinny products.
typedef PairInt8Format SkinnyInt8Format;
template <bool>
using SkinnyInt4Format = PairInt4Format;

}  // namespace ckernels::CK_CODE

#endif
