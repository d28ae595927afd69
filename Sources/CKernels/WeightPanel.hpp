// A panel of weights for products of many rows: some inputs of a few outputs as floats, outputs side by side.
//
// Weights are turned around as the 32-bit words that they lie in, alike in all forms, and then made floats: a register
// of words, an output in each lane, becomes one, two, four or eight registers of weights.
#pragma once

/// Outputs in a panel, as many as a tile of the product is wide, and inputs: few enough for the second cache.
constexpr Index panelOutputs = registersWide * lanes, panelInputs = 1024;

/// Inputs that are turned at a time: a block of the form that has such, and such that scales are whole quads of words.
template <class Form>
constexpr Index blockInputs = std::is_same_v<Form, Int4Form> ? Int4Form::chunk : 256;

/// Scales of a block's groups, an output in each lane.
struct PanelScales {
  Vector values[blockInputs<Int4Form> / 32];

  CK_INLINE void take(Words word, Index place) {
    values[2 * place] = __builtin_bit_cast(Vector, word << 16);
    values[2 * place + 1] = __builtin_bit_cast(Vector, word & 0xffff0000u);
  }
};

/// The floats of a block: input k is to lie at floats + k * panelOutputs.
template <class Form>
struct PanelFloats {
  const PanelScales &scales;
  float *floats;
  Index inputs;  ///< of the block, as the form has them

  CK_INLINE void put(Index input, Vector weights) { store(floats + input * panelOutputs, weights); }

  /// Makes floats of word number `place`, an output in each lane.
  CK_INLINE void take(Words word, Index place) {
    if constexpr (std::is_same_v<Form, Float32Form>) {
      put(place, __builtin_bit_cast(Vector, word));
    } else if constexpr (std::is_same_v<Form, BFloat16Form>) {
      put(2 * place, __builtin_bit_cast(Vector, word << 16));
      put(2 * place + 1, __builtin_bit_cast(Vector, word & 0xffff0000u));
    } else if constexpr (std::is_same_v<Form, Int8Form>) {
      CK_UNROLL
      for (int j = 0; j < 4; j++) {
        const Integers number = __builtin_bit_cast(Integers, word << (24 - 8 * j)) >> 24;
        put(4 * place + j, __builtin_convertvector(number, Vector) * scales.values[place / 8]);
      }
    } else {
      const Index groups = inputs / 32, group = place % groups, first = group * 32 + place / groups * 8;
      CK_UNROLL
      for (int j = 0; j < 8; j++)
        put(first + j % 2 * 4 + j / 2, Int4Form::piece(word, j) * scales.values[group]);
    }
  }
};

template <bool Part, class Taker>
CK_INLINE void turnWords(const RowGroup<Part> &rows, Index words, Taker taker) {
  for (Index place = 0; place < words; place += 4) {
    const FourChannels four(rows, place);
    CK_UNROLL
    for (int i = 0; i < 4; i++) taker.take(__builtin_bit_cast(Words, four.channels[i]), place + i);
  }
}

/// Gives `taker` the words of `count` rows of `bytes` bytes, a row in each lane; lanes without one repeat the last row.
template <Index MostBytes, class Taker>
CK_INLINE void turnRows(const std::uint8_t *first, Index stride, Index count, Index bytes, Taker taker) {
  float copied[lanes * MostBytes / 4];
  const float *rows = reinterpret_cast<const float *>(first);
  Index step = stride / 4;
  if ((reinterpret_cast<std::uintptr_t>(first) | std::uintptr_t(stride)) % 4 != 0 || bytes % 16 != 0) {
    std::fill_n(copied, lanes * MostBytes / 4, 0.0f);
    rows = copied;
    step = MostBytes / 4;
    for (Index row = 0; row < count; row++)
      std::memcpy(copied + row * step, first + row * stride, std::size_t(bytes));
  }
  const Index words = (bytes + 15) / 16 * 4;
  if (count == lanes)
    turnWords<false, Taker>(RowGroup<false>{rows, step, lanes}, words, taker);
  else
    turnWords<true, Taker>(RowGroup<true>{rows, step, count}, words, taker);
}

/// Some inputs of a few outputs in a matrix.
template <class Form>
struct PanelSource {
  FormRows<Form> rows;
  Index outputs, firstInput, inputs;

  PanelSource(const ck_matrix &matrix, Index firstOutput, Index outputs, Index firstInput)
      : rows(matrix, firstOutput), outputs(outputs), firstInput(firstInput),
        inputs(std::min(panelInputs, Index(matrix.inputs) - firstInput)) {}

  /// Where the first output's weights lie, and how many bytes each output has.
  const std::uint8_t *values() const { return rows.values + bytesOf(firstInput); }
  Index bytes() const {
    return bytesOf(Form::isPadded ? (inputs + Form::padding - 1) / Form::padding * Form::padding : inputs);
  }

  /// floats [panelInputs, panelOutputs]; lanes without an output repeat the last one.
  void fill(float *floats) const {
    for (Index input = 0; input < inputs; input += blockInputs<Form>)
      for (Index output = 0; output < outputs; output += lanes)
        fillBlock(input, output, floats + input * panelOutputs + output);
  }

 private:
  static constexpr Index block = blockInputs<Form>;
  static constexpr Index bytesOf(Index count) { return count * Form::bytes / Form::chunk; }

  void fillBlock(Index input, Index output, float *floats) const {
    const Index count = std::min(outputs - output, Index(lanes)), together = std::min(inputs - input, block);
    PanelScales scales;
    if constexpr (Form::isScaled) {
      const std::uint16_t *first = rows.scales + output * rows.scaleStride + (firstInput + input) / 32;
      turnRows<block / 16, PanelScales &>(
          reinterpret_cast<const std::uint8_t *>(first), 2 * rows.scaleStride, count, (together + 31) / 32 * 2, scales);
    }
    const Index length = std::min(bytes() - bytesOf(input), bytesOf(block));
    turnRows<bytesOf(block)>(
        values() + bytesOf(input) + output * rows.stride, rows.stride, count, length,
        PanelFloats<Form>{scales, floats, length * Form::chunk / Form::bytes});
  }
};
