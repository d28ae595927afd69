// Weights of four bits that meet the high and the low bytes of activations of 16 bits, by instructions that multiply
// bytes.
#pragma once

/// A group's sum of products of bytes, weights from 0 to 15 with numbers from -128 to 127: of 32 in every lane.
template <bool Dots>
struct GroupSum {
#if CK_LANES == 16
  typedef std::int16_t Pairs __attribute__((ext_vector_type(2 * CK_LANES)));
#endif
  Integers value = 0;

  /// Adds four products in every lane, with `Dots` by the one instruction that some processors have for it.
  CK_INLINE void add(Words weights, Words numbers) {
#if CK_LANES == 16
    if constexpr (Dots) {
      // Without the attribute for it: the code around must run on processors that lack it.
      asm("vpdpbusd %2, %1, %0" : "+v"(value) : "v"(weights), "v"(numbers));
    } else {
      // Eight times two products of at most 15 * 128 do not leave 16 bits.
      Pairs pairs = __builtin_bit_cast(Pairs, value);
      pairs += __builtin_bit_cast(Pairs, _mm512_maddubs_epi16(__m512i(weights), __m512i(numbers)));
      value = __builtin_bit_cast(Integers, pairs);
    }
#else
    CK_UNROLL
    for (int byte = 0; byte < 4; byte++)
      value += __builtin_bit_cast(Integers, weights >> (8 * byte) & 255u) *
               (__builtin_bit_cast(Integers, numbers << (24 - 8 * byte)) >> 24);
#endif
  }

  CK_INLINE Integers total() const {
#if CK_LANES == 16
    if constexpr (!Dots) return Integers(_mm512_madd_epi16(__m512i(value), _mm512_set1_epi16(1)));
#endif
    return value;
  }
};

/// Of a group's words the first eight have the high bytes of its integers, the others the low ones.
struct ByteLayout {
  CK_INLINE static void put(std::uint8_t (&row)[64], int first, Integers numbers) {
    typedef std::int8_t Narrow __attribute__((ext_vector_type(CK_LANES)));
    // A low byte is one from -128 to 127, and the high one makes up for that.
    const Narrow high = __builtin_convertvector((numbers + 128) >> 8, Narrow);
    const Narrow low = __builtin_convertvector(numbers, Narrow);
    __builtin_memcpy(row + first, &high, sizeof(high));
    __builtin_memcpy(row + 32 + first, &low, sizeof(low));
  }

  /// Eight times the sums of some groups' integers.
  CK_INLINE static Integers eightfold(const WholeBlock<ByteLayout> &block, Index first) {
    GroupSum<false> high, low;
    CK_UNROLL
    for (int word = 0; word < 8; word++) {
      high.add(0x08080808u, block.word(word, first));
      low.add(0x08080808u, block.word(8 + word, first));
    }
    return (high.total() << 8) + low.total();
  }
};

/// Four-bit weights as they meet whole activations, with the instruction for it or without.
template <bool Dots>
struct ByteInt4Form : Int4Form {
  typedef WholeBlock<ByteLayout> Block;
  static constexpr bool isWhole = true;

  template <int Rows>
  static constexpr int outputsTogether = CK_REGISTERS == 32 ? 2 : 1;

  /// Of each word four of its eight weights, the first or the second ones, as bytes that are 8 above them.
  static CK_INLINE Words half(Raw raw, int h) { return raw >> (4 * h) & 0x0f0f0f0fu; }

  /// A group's sum is an integer, and takes both scales then. Memory is asked for evenly: many lines at once would wait
  /// for one another.
  template <int Rows, int Outputs>
  static CK_INLINE void step(const WholeStep &step, Vector (&sums)[Outputs][Rows]) {
    for (Index first = 0; first < groups; first += lanes) {
      GroupSum<Dots> high[Outputs][Rows], low[Outputs][Rows];
      CK_UNROLL
      for (int t = 0; t < wordsOfGroup; t++) {
        Words words[Outputs];
        CK_UNROLL
        for (int output = 0; output < Outputs; output++)
          words[output] = raw(step.weights + output * step.stride + (t * groups + first) * 4);
        CK_UNROLL
        for (int h = 0; h < 2; h++) {
          CK_UNROLL
          for (int row = 0; row < Rows; row++) {
            const Block &block = step.block<Block>(row);
            const Words highs = block.word(2 * t + h, first), lows = block.word(8 + 2 * t + h, first);
            CK_UNROLL
            for (int output = 0; output < Outputs; output++) {
              const Words numbers = half(words[output], h);
              high[output][row].add(numbers, highs);
              low[output][row].add(numbers, lows);
              if (first == 0 && row == 0 && output % 2 == h) fetchOnce(step.ahead + (t * Outputs + output) * 64);
            }
          }
        }
      }
      CK_UNROLL
      for (int output = 0; output < Outputs; output++) {
        const Vector scale = Int4Form::scale(step.scales + output * step.scaleStride + first);
        CK_UNROLL
        for (int row = 0; row < Rows; row++) {
          const Block &block = step.block<Block>(row);
          const Integers whole =
              (high[output][row].total() << 8) + low[output][row].total() + block.offsetsFrom(first);
          sums[output][row] += __builtin_convertvector(whole, Vector) * (scale * load(block.scales + first));
        }
      }
    }
  }
};

/// The forms in which a few rows meet integer weights.
typedef Int8Form NarrowInt8Form;
template <bool Dots>
using NarrowInt4Form = ByteInt4Form<Dots>;
