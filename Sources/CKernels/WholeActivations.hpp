// Activations as whole numbers, for weights that are whole numbers: a register multiplies four times as many of them as
// floats.
//
// A weight of four bits costs more to turn into a float than to read from memory. Taken as it is, it meets activations
// of 16 bits, a byte at a time, of which 32 share a scale as the weights do: an activation changes by no more than
// 1 / 65,278 of the largest of its 32, which is a few thousandths of what rounding to four bits did to the weights.
#pragma once

/// A group's sum of products of bytes, weights from 0 to 15 with numbers from -128 to 127: of 32 in every lane.
template <bool Dots>
struct GroupSum {
#if CK_LANES >= 8
  typedef std::int16_t Pairs __attribute__((ext_vector_type(2 * CK_LANES)));
#endif
  Integers value = 0;

  /// Adds four products in every lane, with `Dots` by the one instruction that some processors have for it.
  CK_INLINE void add(Words weights, Words numbers) {
#if CK_LANES >= 8
    if constexpr (Dots) {
      // Without the attribute for it: the code around must run on processors that lack it.
      asm("vpdpbusd %2, %1, %0" : "+v"(value) : "v"(weights), "v"(numbers));
    } else {
      // Eight times two products of at most 15 * 128 do not leave 16 bits.
      Pairs pairs = __builtin_bit_cast(Pairs, value);
#if CK_LANES == 16
      pairs += __builtin_bit_cast(Pairs, _mm512_maddubs_epi16(__m512i(weights), __m512i(numbers)));
#else
      pairs += __builtin_bit_cast(Pairs, _mm256_maddubs_epi16(__m256i(weights), __m256i(numbers)));
#endif
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
#elif CK_LANES == 8
    if constexpr (!Dots) return Integers(_mm256_madd_epi16(__m256i(value), _mm256_set1_epi16(1)));
#endif
    return value;
  }
};

/// 512 activations as Int4Form's weights meet them: sixteen groups of 32 side by side.
struct WholeBlock {
  /// The high and then the low bytes of the numbers that meet half h of the words t.
  std::int8_t numbers[2][4][2][16][4];
  std::int32_t offsets[16];  ///< -8 times the sum of a group's numbers: nibbles lie 8 above their weights
  float scales[16];

  static constexpr Index inputs = Int4Form::chunk, floats = 288;

  static Index count(Index inputs) { return (inputs + WholeBlock::inputs - 1) / WholeBlock::inputs; }

  /// A row of activations, zero up to a whole block.
  static void arrange(const float *x, Index count, WholeBlock *blocks) {
    const Index whole = count / inputs;
    for (Index block = 0; block < whole; block++) blocks[block].take(x + block * inputs);
    if (whole * inputs == count) return;
    float last[inputs] = {};
    std::copy_n(x + whole * inputs, count - whole * inputs, last);
    blocks[whole].take(last);
  }

  /// High or low bytes for some groups from `first` on.
  CK_INLINE Words bytes(int low, int t, int h, Index first) const {
    Words some;
    __builtin_memcpy(&some, numbers[low][t][h][first], sizeof(some));
    return some;
  }

  CK_INLINE Integers offsetsFrom(Index first) const {
    Integers some;
    __builtin_memcpy(&some, offsets + first, sizeof(some));
    return some;
  }

 private:
  /// A group's numbers: 32 high bytes and 32 low ones.
  typedef std::int8_t Bytes[64];

  void take(const float *x) {
    float largest[16], inverse[16];
    for (Index group = 0; group < 16; group++) largest[group] = largestOf(x + group * 32);
    for (Index first = 0; first < 16; first += lanes) {
      const Vector most = load(largest + first);
      // Below that the inverse could be infinite. What is no number, or infinite, has the scale become no number.
      store(inverse + first, most > 0x1p-110f ? 32639.0f / most : 0.0f);
      store(scales + first, most * (1 / 32639.0f) + (most - most));
    }
    alignas(64) Bytes rows[16];
    for (Index group = 0; group < 16; group++) divide(x + group * 32, inverse[group], rows[group]);
    for (Index first = 0; first < 16; first += lanes)
      for (Index word = 0; word < 16; word += lanes) turnRows(rows + first, word, first);
    for (Index first = 0; first < 16; first += lanes) takeOffsets(first);
  }

  CK_INLINE static float largestOf(const float *x) {
    Words largest = 0;
    CK_UNROLL
    for (int i = 0; i < 32; i += lanes)
      largest = __builtin_elementwise_max(largest, __builtin_bit_cast(Words, load(x + i)) & 0x7fffffffu);
    return __builtin_bit_cast(float, __builtin_reduce_max(largest));
  }

  /// Products are rounded before anything is added to them: so the numbers are the same in every vector code.
  CK_INLINE static void divide(const float *x, float inverse, Bytes &row) {
#pragma clang fp contract(off)
    typedef std::int8_t Narrow __attribute__((ext_vector_type(CK_LANES)));
    CK_UNROLL
    for (int i = 0; i < 32; i += lanes) {
      // Adding 1.5 * 2^23 leaves the nearest whole number in the lowest bits. Its low byte is one from -128 to 127, and
      // the high one makes up for that.
      const Integers number = __builtin_bit_cast(Integers, load(x + i) * inverse + 12582912.0f);
      const Narrow high = __builtin_convertvector((number + 128) >> 8, Narrow);
      const Narrow low = __builtin_convertvector(number, Narrow);
      __builtin_memcpy(row + i, &high, sizeof(high));
      __builtin_memcpy(row + 32 + i, &low, sizeof(low));
    }
  }

  CK_INLINE void turnRows(const Bytes *rows, Index word, Index group) {
    Vector words[lanes];
    CK_UNROLL
    for (int i = 0; i < lanes; i++) __builtin_memcpy(&words[i], rows[i] + word * 4, sizeof(Vector));
    turn(words);
    std::int8_t (*first)[16][4] = numbers[0][0];
    CK_UNROLL
    for (int i = 0; i < lanes; i++) __builtin_memcpy(first[word + i][group], &words[i], sizeof(Vector));
  }

  CK_INLINE void takeOffsets(Index first) {
    GroupSum<false> high, low;
    CK_UNROLL
    for (int t = 0; t < 4; t++)
      CK_UNROLL
      for (int h = 0; h < 2; h++) {
        high.add(0x08080808u, bytes(0, t, h, first));
        low.add(0x08080808u, bytes(1, t, h, first));
      }
    const Integers offset = -((high.total() << 8) + low.total());
    __builtin_memcpy(offsets + first, &offset, sizeof(offset));
  }
};

static_assert(sizeof(WholeBlock) == WholeBlock::floats * sizeof(float));
