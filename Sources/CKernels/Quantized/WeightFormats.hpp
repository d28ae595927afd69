// The formats of weights in memory, and how a piece of a row becomes a register of floats.
//
// A row is read in chunks. `piece` returns one register of a chunk as floats without their scale; where activations are
// floats, `place` is the index of the activations that the piece is multiplied by.
#pragma once

#include "SIMD/Loops.hpp"

namespace ckernels::CK_CODE {

typedef std::uint32_t Words __attribute__((ext_vector_type(CK_LANES)));
typedef std::int32_t Integers __attribute__((ext_vector_type(CK_LANES)));

CK_INLINE Vector floatOf(std::uint16_t half) { return __builtin_bit_cast(float, std::uint32_t(half) << 16); }

struct Float32Format {
  static constexpr bool isScaled = false, isPadded = false;
  static constexpr Index chunk = lanes, bytes = 4 * lanes, padding = 32;
  typedef Vector Raw;

  static CK_INLINE Raw raw(const std::uint8_t *p) { return load(reinterpret_cast<const float *>(p)); }
  static CK_INLINE Vector piece(Raw raw, int) { return raw; }
  static CK_INLINE Index place(Index chunk, int) { return chunk * lanes; }
};

struct BFloat16Format {
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

/// Integers from -127 to 127, 32 of a row under one scale.
struct Int8Format {
  typedef std::int8_t Bytes __attribute__((ext_vector_type(CK_LANES), aligned(1)));
  typedef const std::uint8_t *Raw;
  static constexpr bool isScaled = true, isPadded = false;
  static constexpr Index chunk = 32, bytes = 32, padding = 32;

  static CK_INLINE Raw raw(const std::uint8_t *p) { return p; }
  static CK_INLINE Vector piece(Raw raw, int i) {
    return __builtin_convertvector(*reinterpret_cast<const Bytes *>(raw + i * lanes), Vector);
  }
  static CK_INLINE Index place(Index chunk, int i) { return chunk * 32 + i * lanes; }
  static CK_INLINE Vector scale(const std::uint16_t *scales, Index chunk) { return floatOf(scales[chunk]); }
};

/// Integers from -8 to 7, 32 of a row under one scale. Sixteen groups are interleaved, fewer at a row's end, always a
/// multiple of four. Of g groups, word t g + l has weights 8 t to 8 t + 7 of group l: nibble 2 b + h is weight 4 h + b of
/// those, so that one shift and one mask give bytes in order, and all weights of a lane have one scale.
struct Int4Format {
  typedef std::uint32_t Unaligned __attribute__((ext_vector_type(CK_LANES), aligned(1)));
  typedef Words Raw;
  static constexpr bool isScaled = true, isPadded = true;
  static constexpr Index chunk = 512, bytes = 256, padding = 128;
  static constexpr Index groups = 16, wordsOfGroup = 4;

  static CK_INLINE Raw raw(const std::uint8_t *p) { return *reinterpret_cast<const Unaligned *>(p); }
  static CK_INLINE Vector piece(Raw raw, int i) {
    return __builtin_convertvector(__builtin_bit_cast(Integers, (raw >> (4 * i)) & 15u) - 8, Vector);
  }
  /// The scales of as many groups as a register has lanes.
  static CK_INLINE Vector scale(const std::uint16_t *scales) {
    return BFloat16Format::piece(BFloat16Format::raw(reinterpret_cast<const std::uint8_t *>(scales)), 0);
  }
  /// Groups that are interleaved, of those that are left of a row.
  static constexpr Index together(Index left) { return left < groups ? left : groups; }
};

/// Calls `body` with an object of the class of a format.
template <class Body>
CK_INLINE auto withFormat(ck_weight_format format, const Body &body) {
  switch (format) {
    case CK_FLOAT32: return body(Float32Format());
    case CK_BFLOAT16: return body(BFloat16Format());
    case CK_INT8: return body(Int8Format());
    default: return body(Int4Format());
  }
}

/// Some rows of a matrix in one format: their addresses, and the distances between rows.
template <class Format>
struct FormatRows {
  const std::uint8_t *values;
  const std::uint16_t *scales;
  Index stride, scaleStride;

  FormatRows(const ck_matrix &matrix, Index first) {
    const Index inputs = matrix.inputs, padded = (inputs + Format::padding - 1) / Format::padding * Format::padding;
    stride = (Format::isPadded ? padded : inputs) * Format::bytes / Format::chunk;
    scaleStride = padded / 32;
    values = static_cast<const std::uint8_t *>(matrix.values) + first * stride;
    scales = Format::isScaled ? matrix.scales + first * scaleStride : nullptr;
  }
};

}  // namespace ckernels::CK_CODE
