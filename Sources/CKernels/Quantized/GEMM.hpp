// Products of many rows with matrices whose weights become floats a panel at a time.
#pragma once

#include "Quantized/PackedPanel.hpp"

namespace ckernels::CK_CODE {

/// Prefetches the weights of the next panel line by line: a burst of prefetches would stall the product.
struct PanelPrefetch {
  const std::uint8_t *at;
  Index stride, bytes, rows;
  Index linesPerStep = 0, done = 0;

  /// Spreads the panel over `steps` calls of `step`.
  template <class Format>
  PanelPrefetch(const PanelSource<Format> &panel, Index steps)
      : at(panel.values()), stride(panel.rows.stride), bytes(panel.bytes()), rows(panel.outputs),
        linesPerStep((((bytes + 63) / 64) * rows + steps - 1) / steps) {}

  CK_INLINE void step() {
    for (Index left = rows > 0 ? linesPerStep : 0; left > 0; left--) {
      __builtin_prefetch(at + done);
      if ((done += 64) >= bytes) {
        done = 0;
        at += stride;
        rows--;
      }
    }
  }
};

/// Some rows and the panel that they are multiplied by.
struct GEMMTile {
  const float *x;  ///< the rows' inputs of the panel
  Index xRow;
  const float *panel;
  Index inputs;
  float *y;
  Index yRow, outputs;
  bool accumulates;
};

/// Inputs between two steps of the prefetch.
constexpr Index inputsPerStep = 8;

template <int Rows>
CK_INLINE void gemmStep(const GEMMTile &tile, const float *x, const float *panel, Vector (&sums)[Rows][registersWide]) {
  Vector weights[registersWide];
  CK_UNROLL
  for (int w = 0; w < registersWide; w++) weights[w] = load(panel + w * lanes);
  CK_UNROLL
  for (int i = 0; i < Rows; i++) {
    const Vector activation = x[i * tile.xRow];
    CK_UNROLL
    for (int w = 0; w < registersWide; w++) sums[i][w] += activation * weights[w];
  }
}

template <bool Part>
CK_INLINE void storeSums(const GEMMTile &tile, float *y, Vector sums, Index count) {
  if (tile.accumulates) sums += loadTile<Part>(y, count);
  storeTile<Part>(y, sums, count);
}

template <int Rows>
void multiplyTile(const GEMMTile &tile, PanelPrefetch &prefetch) {
  Vector sums[Rows][registersWide] = {};
  const float *x = tile.x, *panel = tile.panel;
  Index left = tile.inputs;
  for (; left >= inputsPerStep; left -= inputsPerStep) {
    prefetch.step();
    CK_UNROLL
    for (Index k = 0; k < inputsPerStep; k++, x++, panel += panelOutputs) gemmStep<Rows>(tile, x, panel, sums);
  }
  for (; left > 0; left--, x++, panel += panelOutputs) gemmStep<Rows>(tile, x, panel, sums);
  forEachOf<Rows, registersWide>([&](int i, int w) {
    float *y = tile.y + i * tile.yRow + w * lanes;
    const Index count = tile.outputs - w * lanes;
    if (count >= lanes)
      storeSums<false>(tile, y, sums[i][w], 0);
    else if (count > 0)
      storeSums<true>(tile, y, sums[i][w], count);
  });
}

template <std::size_t... R>
constexpr std::array<void (*)(const GEMMTile &, PanelPrefetch &), sizeof...(R)> makeGEMMTiles(
    std::index_sequence<R...>) {
  return {multiplyTile<int(R) + 1>...};
}

/// The outputs of a panel, for all rows.
template <class Format>
void multiplyPanel(const ck_gemm_args &args, float *panel, Index first) {
  constexpr Index tileHeight = tileRows(registersWide);
  constexpr auto tiles = makeGEMMTiles(std::make_index_sequence<std::size_t(tileHeight)>());
  const ck_matrix &matrix = *args.weight;
  const Index inputs = matrix.inputs, rows = args.rows, N = matrix.outputs;
  const Index outputs = std::min(panelOutputs, N - first), tileCount = (rows + tileHeight - 1) / tileHeight;
  for (Index input = 0; input < inputs; input += panelInputs) {
    const PanelSource<Format> source(matrix, first, outputs, input);
    source.fill(panel);
    const bool isLast = input + panelInputs >= inputs;
    const Index later = isLast ? first + outputs : first;
    PanelPrefetch prefetch(
        PanelSource<Format>(matrix, later, std::min(panelOutputs, N - later), isLast ? 0 : input + panelInputs),
        std::max<Index>(tileCount * (source.inputs / inputsPerStep), 1));
    for (Index row = 0, left = tileCount; left > 0; left--) {
      const Index height = (rows - row + left - 1) / left;
      tiles[std::size_t(height - 1)](
          {args.x + row * inputs + input, inputs, panel, source.inputs, args.y + row * N + first, N, outputs,
           input > 0},
          prefetch);
      row += height;
    }
  }
}

inline bool gemm(const ck_gemm_args &args, int threads) {
  const Index outputs = args.weight->outputs, panels = (outputs + panelOutputs - 1) / panelOutputs;
  const Index work = args.rows * outputs * Index(args.weight->inputs);
  const int parts = usefulParts(panels, work, std::min(threads, maximumThreads));
  float *memory = scratch(std::size_t(parts * panelInputs * panelOutputs));
  if (!memory) return false;
  withFormat(args.weight->format, [&](auto format) {
    forEachRange(panels, 1, parts, [&](int thread, Index first, Index last) {
      float *panel = memory + thread * panelInputs * panelOutputs;
      for (; first < last; first++) multiplyPanel<decltype(format)>(args, panel, first * panelOutputs);
    });
  });
  return true;
}

}  // namespace ckernels::CK_CODE
