// The forms in which a matrix of weights lies in memory, and how a piece of a row becomes a register of floats.
//
// A row is read in chunks. `piece` gives the floats of one register's worth of a chunk without their scale; where
// activations stay floats, `place` says where in their row these meet it.
#pragma once

typedef std::uint32_t Words __attribute__((ext_vector_type(CK_LANES)));
typedef std::int32_t Integers __attribute__((ext_vector_type(CK_LANES)));
/// Two whole numbers a lane.
typedef std::int16_t Pairs __attribute__((ext_vector_type(2 * CK_LANES)));

CK_INLINE Vector widened(std::uint16_t half) {
  return __builtin_bit_cast(float, std::uint32_t(half) << 16);
}

struct Float32Form {
  static constexpr bool isScaled = false, isPadded = false;
  static constexpr Index chunk = lanes, bytes = 4 * lanes, padding = 32;
  typedef Vector Raw;

  static CK_INLINE Raw raw(const std::uint8_t *p) { return load(reinterpret_cast<const float *>(p)); }
  static CK_INLINE Vector piece(Raw raw, int) { return raw; }
  static CK_INLINE Index place(Index chunk, int) { return chunk * lanes; }
};

struct BFloat16Form {
  typedef std::uint16_t Raw __attribute__((ext_vector_type(CK_LANES)));
  typedef std::uint16_t Unaligned __attribute__((ext_vector_type(CK_LANES), aligned(2)));
  static constexpr bool isScaled = false, isPadded = false;
  static constexpr Index chunk = lanes, bytes = 2 * lanes, padding = 32;

  static CK_INLINE Raw raw(const std::uint8_t *p) { return *reinterpret_cast<const Unaligned *>(p); }
  static CK_INLINE Vector piece(Raw raw, int) {
    return __builtin_bit_cast(Vector, __builtin_convertvector(raw, Words) << 16);
  }
  static CK_INLINE Index place(Index chunk, int) { return chunk * lanes; }
};

/// Whole numbers from -127 to 127, 32 in a row under one scale.
struct Int8Form {
  typedef std::int8_t Bytes __attribute__((ext_vector_type(CK_LANES), aligned(1)));
  typedef const std::uint8_t *Raw;
  static constexpr bool isScaled = true, isPadded = false;
  static constexpr Index chunk = 32, bytes = 32, padding = 32;

  static CK_INLINE Raw raw(const std::uint8_t *p) { return p; }
  static CK_INLINE Vector piece(Raw raw, int i) {
    return __builtin_convertvector(*reinterpret_cast<const Bytes *>(raw + i * lanes), Vector);
  }
  static CK_INLINE Index place(Index chunk, int i) { return chunk * 32 + i * lanes; }
  static CK_INLINE Vector scale(const std::uint16_t *scales, Index chunk) { return widened(scales[chunk]); }
};

/// Whole numbers from -8 to 7, 32 in a row under one scale, 128 together: nibble j of word d of the sixteen 32-bit words
/// is weight 32 (d / 4) + 4 j + d % 4, so that one shift and one mask give numbers that have a scale to themselves in
/// every lane.
struct Int4Form {
  typedef std::uint32_t Unaligned __attribute__((ext_vector_type(CK_LANES), aligned(1)));
  typedef Words Raw;
  static constexpr bool isScaled = true, isPadded = true;
  static constexpr Index chunk = 8 * lanes, bytes = 4 * lanes, padding = 128;
  static constexpr Index parts = 16 / lanes;

  static CK_INLINE Raw raw(const std::uint8_t *p) { return *reinterpret_cast<const Unaligned *>(p); }
  static CK_INLINE Vector piece(Raw raw, int i) {
    return __builtin_convertvector(__builtin_bit_cast(Integers, (raw >> (4 * i)) & 15u) - 8, Vector);
  }
  /// Nibbles i and i + 4 of every word.
  static CK_INLINE Pairs pairs(Raw raw, int i) { return __builtin_bit_cast(Pairs, raw >> (4 * i) & 0x000f000fu); }
  static CK_INLINE Vector scale(const std::uint16_t *scales, Index chunk) {
    Vector all;
    CK_UNROLL
    for (int group = 0; group < lanes / 4; group++) {
      const float one = __builtin_bit_cast(float, std::uint32_t(scales[chunk * (lanes / 4) + group]) << 16);
      CK_UNROLL
      for (int lane = 0; lane < 4; lane++) all[group * 4 + lane] = one;
    }
    return all;
  }
};
