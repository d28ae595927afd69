// Activations as integers of 16 bits, for weights that are integers: a register multiplies more of them than floats.
//
// A weight of a few bits costs more to turn into a float than to read from memory. Taken as it is, it meets activations
// of 16 bits, of which 32 share a scale as the weights do: an activation changes by no more than 1 / 65,278 of the
// largest of its 32. Rounding changed the weights by some hundred (8 bits) to some thousand times as much.
#pragma once

/// The integers of 16 bits nearest to some activations over their group's scale, in the lower half of each lane.
/// Products are rounded before anything is added to them: so they are the same in every vector code.
CK_INLINE Integers nearestIntegers(Vector x, float inverse) {
#pragma clang fp contract(off)
  // Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits.
  return __builtin_bit_cast(Integers, x * inverse + 12582912.0f);
}

/// The scales of `Groups` groups of 32 activations, and what activations are multiplied by to become integers.
template <Index Groups>
CK_INLINE void scaleGroups(const float *x, float (&scales)[Groups], float (&inverse)[Groups]) {
  float largest[Groups];
  for (Index group = 0; group < Groups; group++) {
    Words most = 0;
    CK_UNROLL
    for (int i = 0; i < 32; i += lanes)
      most = __builtin_elementwise_max(most, __builtin_bit_cast(Words, load(x + group * 32 + i)) & 0x7fffffffu);
    largest[group] = __builtin_bit_cast(float, __builtin_reduce_max(most));
  }
  for (Index first = 0; first < Groups; first += lanes) {
    const Vector most = load(largest + first);
    // Below that the inverse could be infinite. What is no number, or infinite, has the scale become no number.
    store(inverse + first, most > 0x1p-110f ? 32639.0f / most : 0.0f);
    store(scales + first, most * (1 / 32639.0f) + (most - most));
  }
}

/// A row of activations as blocks of one kind, zero up to a whole block.
template <class Block>
inline void arrangeBlocks(const float *x, Index count, Block *blocks) {
  const Index whole = count / Block::inputs;
  for (Index block = 0; block < whole; block++) blocks[block].take(x + block * Block::inputs);
  if (whole * Block::inputs == count) return;
  float last[Block::inputs] = {};
  std::copy_n(x + whole * Block::inputs, count - whole * Block::inputs, last);
  blocks[whole].take(last);
}

/// 512 activations as Int4Form's weights meet them: sixteen groups of 32 side by side, a group's integers in sixteen
/// words of 32 bits, which `Layout` fills.
template <class Layout>
struct WholeBlock {
  std::uint32_t words[16][16];  ///< word w of group g
  std::int32_t offsets[16];     ///< -8 times the sum of a group's integers: nibbles are 8 above their weights
  float scales[16];

  static constexpr Index inputs = Int4Form::chunk, floats = 288;

  void take(const float *x) {
    float inverse[16];
    scaleGroups(x, scales, inverse);
    alignas(64) std::uint8_t rows[16][64];
    for (Index group = 0; group < 16; group++)
      CK_UNROLL
      for (int i = 0; i < 32; i += lanes)
        Layout::put(rows[group], i, nearestIntegers(load(x + group * 32 + i), inverse[group]));
    for (Index first = 0; first < 16; first += lanes)
      for (Index word = 0; word < 16; word += lanes) turnRows(rows + first, word, first);
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
  CK_INLINE void turnRows(const std::uint8_t (*rows)[64], Index word, Index group) {
    Vector turned[lanes];
    CK_UNROLL
    for (int i = 0; i < lanes; i++) __builtin_memcpy(&turned[i], rows[i] + word * 4, sizeof(Vector));
    turn(turned);
    CK_UNROLL
    for (int i = 0; i < lanes; i++) __builtin_memcpy(words[word + i] + group, &turned[i], sizeof(Vector));
  }
};

/// Asks for memory that is read once: it leaves the caches to what is read again, the code between the products included.
CK_INLINE void fetchOnce(const std::uint8_t *p) { __builtin_prefetch(p, 0, 0); }

/// One chunk of some rows of integer weights, and where the activations are that meet it.
struct WholeStep {
  const std::uint8_t *weights;  ///< the chunk in the first row
  Index stride;
  const std::uint8_t *ahead;  ///< memory that is read later: as much of it as the step has weights is asked for
  const std::uint16_t *scales;
  Index scaleStride;
  const float *x;  ///< blocks of activations, `width` floats a row
  Index width, place;  ///< the chunk's number in a row

  template <class Block>
  CK_INLINE const Block &block(int row) const {
    return reinterpret_cast<const Block *>(x + row * width)[place];
  }
};
