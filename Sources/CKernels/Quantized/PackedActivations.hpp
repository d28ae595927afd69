// Activations of skinny products, packed for the format of the weights.
#pragma once

#include "Quantized/ByteProduct.hpp"
#include "Quantized/PairProduct.hpp"

namespace ckernels::CK_CODE {

/// Whether weights of a format are multiplied as integers, by activations of 16 bits.
template <class Format, class = void>
constexpr bool isInteger = false;
template <class Format>
constexpr bool isInteger<Format, std::enable_if_t<Format::isInteger>> = true;

/// Activations [rows, inputs] in the layout that a weight format needs: floats padded with zeros to whole chunks, or blocks
/// of integers.
struct PackedActivations {
  /// Floats of a packed row.
  static Index width(const ck_matrix &matrix) {
    Index floats = 0;
    const Index inputs = matrix.inputs;
    const bool isInteger = withBlocks(matrix, [&](auto *block) {
      typedef std::remove_pointer_t<decltype(block)> Block;
      floats = (inputs + Block::inputs - 1) / Block::inputs * Block::floats;
    });
    return isInteger ? floats : (inputs + 31) / 32 * 32;
  }

  /// Whether the kernels read activations in place, without a packed copy.
  static bool areInPlace(const ck_matrix &matrix) {
    return !withBlocks(matrix, [](auto *) {}) && matrix.inputs % 32 == 0;
  }

  /// Either x itself or its packed copy [rows, width] in `memory`.
  static const float *rows(const ck_matrix &matrix, const float *x, Index count, float *memory) {
    if (areInPlace(matrix)) return x;
    const Index inputs = matrix.inputs, padded = width(matrix);
    for (Index row = 0; row < count; row++) {
      float *copy = memory + row * padded;
      const bool isInteger = withBlocks(
          matrix, [&](auto *block) { packBlocks(x + row * inputs, inputs, reinterpret_cast<decltype(block)>(copy)); });
      if (isInteger) continue;
      std::copy_n(x + row * inputs, inputs, copy);
      std::fill(copy + inputs, copy + padded, 0.0f);
    }
    return memory;
  }

 private:
  /// Calls `body` with a null pointer of the block's type. False, without a call, for formats that take float activations.
  template <class Body>
  static CK_INLINE bool withBlocks(const ck_matrix &matrix, Body body) {
    return matrix.format == CK_INT4   ? withBlocksOf<SkinnyInt4Format<false>>(body)
           : matrix.format == CK_INT8 ? withBlocksOf<SkinnyInt8Format>(body)
                                      : false;
  }

  template <class Format, class Body>
  static CK_INLINE bool withBlocksOf(Body body) {
    if constexpr (isInteger<Format>) body(static_cast<typename Format::Block *>(nullptr));
    return isInteger<Format>;
  }
};

}  // namespace ckernels::CK_CODE
