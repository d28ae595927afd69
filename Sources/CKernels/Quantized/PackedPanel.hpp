// A panel of weights for products of many rows: some inputs of a few outputs as floats, with adjacent outputs.
//
// Weights are transposed as the 32-bit words that they are stored in, in all formats alike, and then converted to floats: a
// register of words, an output in each lane, becomes one, two, four or eight registers of weights.
#pragma once

#include "Quantized/WeightFormats.hpp"
#include "SIMD/Product.hpp"
#include "SIMD/Transpose.hpp"

namespace ckernels::CK_CODE {

/// Outputs of a panel, the width of a tile of the product, and its inputs: few enough for the second cache.
constexpr Index panelOutputs = registersWide * lanes, panelInputs = 1024;

/// Inputs that are transposed at a time: a block of int4, else a number of them whose scales fill whole quads of words.
template <class Format>
constexpr Index blockInputs = std::is_same_v<Format, Int4Format> ? Int4Format::chunk : 256;

/// Scales of a block's groups, an output in each lane.
struct PanelScales {
  Vector values[blockInputs<Int4Format> / 32];

  CK_INLINE void take(Words word, Index place) {
    values[2 * place] = __builtin_bit_cast(Vector, word << 16);
    values[2 * place + 1] = __builtin_bit_cast(Vector, word & 0xffff0000u);
  }
};

/// The floats of a block: those of input k are stored at floats + k * panelOutputs.
template <class Format>
struct PanelFloats {
  const PanelScales &scales;
  float *floats;
  Index inputs;  ///< of the block, with the format's padding

  CK_INLINE void put(Index input, Vector weights) { store(floats + input * panelOutputs, weights); }

  /// Converts word `place` of the block, an output in each lane.
  CK_INLINE void take(Words word, Index place) {
    if constexpr (std::is_same_v<Format, Float32Format>) {
      put(place, __builtin_bit_cast(Vector, word));
    } else if constexpr (std::is_same_v<Format, BFloat16Format>) {
      put(2 * place, __builtin_bit_cast(Vector, word << 16));
      put(2 * place + 1, __builtin_bit_cast(Vector, word & 0xffff0000u));
    } else if constexpr (std::is_same_v<Format, Int8Format>) {
      CK_UNROLL
      for (int j = 0; j < 4; j++) {
        const Integers number = __builtin_bit_cast(Integers, word << (24 - 8 * j)) >> 24;
        put(4 * place + j, __builtin_convertvector(number, Vector) * scales.values[place / 8]);
      }
    } else {
      const Index groups = inputs / 32, group = place % groups, first = group * 32 + place / groups * 8;
      CK_UNROLL
      for (int j = 0; j < 8; j++) put(first + j % 2 * 4 + j / 2, Int4Format::piece(word, j) * scales.values[group]);
    }
  }
};

template <bool Part, class Taker>
CK_INLINE void transposeWordRows(const RowGroup<Part> &rows, Index words, Taker taker) {
  for (Index place = 0; place < words; place += 4) {
    const FourChannels four(rows, place);
    CK_UNROLL
    for (int i = 0; i < 4; i++) taker.take(__builtin_bit_cast(Words, four.channels[i]), place + i);
  }
}

/// Passes the words of `count` rows of `bytes` bytes to `taker`, a row in each lane; lanes without one repeat the last row.
template <Index maximumBytes, class Taker>
CK_INLINE void transposeRows(const std::uint8_t *first, Index stride, Index count, Index bytes, Taker taker) {
  float copied[lanes * maximumBytes / 4];
  const float *rows = reinterpret_cast<const float *>(first);
  Index step = stride / 4;
  if ((reinterpret_cast<std::uintptr_t>(first) | std::uintptr_t(stride)) % 4 != 0 || bytes % 16 != 0) {
    std::fill_n(copied, lanes * maximumBytes / 4, 0.0f);
    rows = copied;
    step = maximumBytes / 4;
    for (Index row = 0; row < count; row++) std::memcpy(copied + row * step, first + row * stride, std::size_t(bytes));
  }
  const Index words = (bytes + 15) / 16 * 4;
  if (count == lanes)
    transposeWordRows<false, Taker>(RowGroup<false>{rows, step, lanes}, words, taker);
  else
    transposeWordRows<true, Taker>(RowGroup<true>{rows, step, count}, words, taker);
}

/// Some inputs of a few outputs in a matrix.
template <class Format>
struct PanelSource {
  FormatRows<Format> rows;
  Index outputs, firstInput, inputs;

  PanelSource(const ck_matrix &matrix, Index firstOutput, Index outputs, Index firstInput)
      : rows(matrix, firstOutput), outputs(outputs), firstInput(firstInput),
        inputs(std::min(panelInputs, Index(matrix.inputs) - firstInput)) {}

  /// The first output's weights, and the bytes of each output.
  const std::uint8_t *values() const { return rows.values + bytesOf(firstInput); }
  Index bytes() const {
    return bytesOf(Format::isPadded ? (inputs + Format::padding - 1) / Format::padding * Format::padding : inputs);
  }

  /// floats [panelInputs, panelOutputs]; lanes without an output repeat the last one.
  void fill(float *floats) const {
    for (Index input = 0; input < inputs; input += blockInputs<Format>)
      for (Index output = 0; output < outputs; output += lanes)
        fillBlock(input, output, floats + input * panelOutputs + output);
  }

 private:
  static constexpr Index block = blockInputs<Format>;
  static constexpr Index bytesOf(Index count) { return count * Format::bytes / Format::chunk; }

  void fillBlock(Index input, Index output, float *floats) const {
    const Index count = std::min(outputs - output, Index(lanes)), together = std::min(inputs - input, block);
    PanelScales scales;
    if constexpr (Format::isScaled) {
      const std::uint16_t *first = rows.scales + output * rows.scaleStride + (firstInput + input) / 32;
      transposeRows<block / 16, PanelScales &>(
          reinterpret_cast<const std::uint8_t *>(first), 2 * rows.scaleStride, count, (together + 31) / 32 * 2, scales);
    }
    const Index length = std::min(bytes() - bytesOf(input), bytesOf(block));
    transposeRows<bytesOf(block)>(
        values() + bytesOf(input) + output * rows.stride, rows.stride, count, length,
        PanelFloats<Format>{scales, floats, length * Format::chunk / Format::bytes});
  }
};

}  // namespace ckernels::CK_CODE
