// Activations as integers of 16 bits for integer weights: a register multiplies more of them than floats.
//
// Converting a weight of a few bits to a float takes longer than reading it from memory. As an integer it is multiplied by
// activations of 16 bits, of which 32 share a scale like the weights: an activation changes by at most 1 / 65,278 of the
// largest of its 32. Quantization changed the weights by about a hundred (8 bits) to a thousand times as much.
#pragma once

#include "Quantized/WeightFormats.hpp"
#include "SIMD/Transpose.hpp"

namespace ckernels::CK_CODE {

/// The 16-bit integers nearest to some activations over their group's scale, in the lower half of each lane. Products are
/// rounded before anything is added to them, so that they are the same in every vector code.
CK_INLINE Integers nearestIntegers(Vector x, float inverse) {
#pragma clang fp contract(off)
  // Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits.
  return __builtin_bit_cast(Integers, x * inverse + 12582912.0f);
}

/// The scales of `Groups` groups of 32 activations, and the factors that make integers of the activations.
template <Index Groups>
CK_INLINE void scaleGroups(const float *x, float (&scales)[Groups], float (&inverse)[Groups]) {
  float maxima[Groups];
  for (Index group = 0; group < Groups; group++) {
    Words bits = 0;
    CK_UNROLL
    for (int i = 0; i < 32; i += lanes)
      bits = __builtin_elementwise_max(bits, __builtin_bit_cast(Words, load(x + group * 32 + i)) & 0x7fffffffu);
    maxima[group] = __builtin_bit_cast(float, __builtin_reduce_max(bits));
  }
  for (Index first = 0; first < Groups; first += lanes) {
    const Vector maximum = load(maxima + first);
    // Below that the inverse could be infinite. The scale of a group with NaN or infinity becomes NaN.
    store(inverse + first, maximum > 0x1p-110f ? 32639.0f / maximum : 0.0f);
    store(scales + first, maximum * (1 / 32639.0f) + (maximum - maximum));
  }
}

/// A row of activations as blocks, padded with zeros to a whole block.
template <class Block>
inline void packBlocks(const float *x, Index count, Block *blocks) {
  const Index whole = count / Block::inputs;
  for (Index block = 0; block < whole; block++) blocks[block].take(x + block * Block::inputs);
  if (whole * Block::inputs == count) return;
  float last[Block::inputs] = {};
  std::copy_n(x + whole * Block::inputs, count - whole * Block::inputs, last);
  blocks[whole].take(last);
}

/// 512 activations in the order of Int4Format's weights: sixteen groups of 32 interleaved, a group's integers in sixteen
/// words of 32 bits, which `Layout` fills.
template <class Layout>
struct Int16Block {
  std::uint32_t words[16][16];  ///< word w of group g
  std::int32_t offsets[16];     ///< -8 times the sum of a group's integers: nibbles are 8 above their weights
  float scales[16];

  static constexpr Index inputs = Int4Format::chunk, floats = 288;

  void take(const float *x) {
    float inverse[16];
    scaleGroups(x, scales, inverse);
    alignas(64) std::uint8_t rows[16][64];
    for (Index group = 0; group < 16; group++) {
      CK_UNROLL
      for (int i = 0; i < 32; i += lanes)
        Layout::put(rows[group], i, nearestIntegers(load(x + group * 32 + i), inverse[group]));
    }
    for (Index first = 0; first < 16; first += lanes)
      for (Index word = 0; word < 16; word += lanes) transposeWords(rows + first, word, first);
    for (Index first = 0; first < 16; first += lanes) {
      const Integers offset = -Layout::eightfold(*this, first);
      __builtin_memcpy(offsets + first, &offset, sizeof(offset));
    }
  }

  /// A word of some groups from `first` on.
  CK_INLINE Words word(int place, Index first) const {
    Words some;
    __builtin_memcpy(&some, words[place] + first, sizeof(some));
    return some;
  }

  CK_INLINE Integers offsetsFrom(Index first) const {
    Integers some;
    __builtin_memcpy(&some, offsets + first, sizeof(some));
    return some;
  }

 private:
  CK_INLINE void transposeWords(const std::uint8_t (*rows)[64], Index word, Index group) {
    Vector transposed[lanes];
    CK_UNROLL
    for (int i = 0; i < lanes; i++) __builtin_memcpy(&transposed[i], rows[i] + word * 4, sizeof(Vector));
    transposeSquare(transposed);
    CK_UNROLL
    for (int i = 0; i < lanes; i++) __builtin_memcpy(words[word + i] + group, &transposed[i], sizeof(Vector));
  }
};

/// Prefetches memory that is read once: it must not evict memory that is read again, such as code.
CK_INLINE void prefetchOnce(const std::uint8_t *p) { __builtin_prefetch(p, 0, 0); }

/// One chunk of some rows of integer weights, and the activations that it is multiplied by.
struct Int16Step {
  const std::uint8_t *weights;  ///< the chunk in the first row
  Index stride;
  const std::uint8_t *next;  ///< memory that is read later: the step prefetches as many bytes of it as it has weights
  const std::uint16_t *scales;
  Index scaleStride;
  const float *x;      ///< blocks of activations, `width` floats a row
  Index width, place;  ///< the chunk's index in a row

  /// Word `t` of four-bit groups from `first` on, in each row of weights.
  template <int Outputs>
  CK_INLINE void loadWords(Index t, Index first, Words (&words)[Outputs]) const {
    CK_UNROLL
    for (int output = 0; output < Outputs; output++)
      words[output] = Int4Format::raw(weights + output * stride + (t * Int4Format::groups + first) * 4);
  }

  template <class Block>
  CK_INLINE const Block &block(int row) const {
    return reinterpret_cast<const Block *>(x + row * width)[place];
  }
};

/// Adds the sums of products of some four-bit groups from `first` on: the integers `total(output, row)` times the scales of
/// weights and activations.
template <class Block, int Rows, int Outputs, class Total>
CK_INLINE void addScaledGroups(const Int16Step &step, Index first, Vector (&sums)[Outputs][Rows], const Total &total) {
  CK_UNROLL
  for (int output = 0; output < Outputs; output++) {
    const Vector scale = Int4Format::scale(step.scales + output * step.scaleStride + first);
    CK_UNROLL
    for (int row = 0; row < Rows; row++) {
      const Block &block = step.block<Block>(row);
      const Vector sum = __builtin_convertvector(total(output, row) + block.offsetsFrom(first), Vector);
      sums[output][row] += sum * (scale * load(block.scales + first));
    }
  }
}

}  // namespace ckernels::CK_CODE
