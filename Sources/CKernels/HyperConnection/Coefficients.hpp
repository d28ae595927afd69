// The coefficients of a block of tokens: norm, projection, tanh, scale, in one pass over the state.
#pragma once

#include "HyperConnection/PackedConnection.hpp"
#include "SIMD/InnerProducts.hpp"
#include "SIMD/Product.hpp"

namespace ckernels::CK_CODE {

/// The working memory of a thread for one block.
struct Working {
  float *transposed;    ///< [panel, stride]: some channels of the transposed state; null where nothing needs them
  float *table;         ///< [columns + 1, stride]: projections, which become the coefficients of a dynamic connection
  const float *values;  ///< [columns, stride]: the coefficients

  Working(const PackedConnection &packed, BumpAllocator &allocator, bool forBackward) {
    const Shape &shape = packed.shape;
    const bool projectsPanels = packed.isDynamic && !shape.projectsAlongChannels(shape.columns);
    const bool transposes = projectsPanels || (forBackward && !shape.hasFewSlots());
    transposed = transposes ? allocator.take(shape.panel * shape.stride) : nullptr;
    table = packed.isDynamic ? allocator.take(shape.projections()) : nullptr;
    values = packed.isDynamic ? table : packed.fixed;
  }
};

/// Transposes channels first..<first+width of `rows` slots; adds up their squares unless `squares` is null.
CK_INLINE void transposePanel(
    const PackedConnection &packed, Working &working, const float *state, Index rows, Index first, Index width,
    float *squares) {
  const Shape &shape = packed.shape;
  if (squares && first == 0) std::fill_n(squares, shape.stride, 0.0f);
  transpose(state + first, shape.C, rows, width, working.transposed, shape.stride, squares);
}

/// Projects channels first..<first+width of `rows` slots onto the columns from..<to, and adds up their squares.
CK_INLINE void projectPanel(
    const PackedConnection &packed, Working &working, const float *state, Index rows, Index first, Index width,
    Index from, Index to, BlockPrefetch &prefetch) {
  const Shape &shape = packed.shape;
  transposePanel(packed, working, state, rows, first, width, working.table + shape.blockTable());
  compute(Product{
      .out = working.table + from * shape.stride,
      .outRow = shape.stride,
      .rows = to - from,
      .columns = shape.stride,
      .accumulates = first > 0,
      .termCount = 1,
      .terms = {{packed.weights + from * shape.C + first, shape.C, 1, working.transposed, shape.stride, width}},
      .prefetch = &prefetch,
  });
}

/// Projects `rows` slots, not transposed, onto the columns from..<to, and adds up their squares.
CK_INLINE void projectAlongChannels(
    const PackedConnection &packed, Working &working, const float *state, Index rows, Index from, Index to,
    BlockPrefetch &prefetch) {
  const Index C = packed.shape.C, stride = packed.shape.stride;
  float *out = working.table + from * stride, *squares = working.table + packed.shape.blockTable();
  sumSquares(state, C, rows, C, squares);
  compute(InnerProducts{out, stride, packed.weights + from * C, C, to - from, state, C, rows, C, &prefetch});
  // Entries without a slot are not used, but must be finite.
  std::fill_n(squares + rows, stride - rows, 1.0f);
  for (Index k = 0; k < to - from; k++) std::fill_n(out + k * stride + rows, stride - rows, 0.0f);
}

/// Replaces the sums of squares after the finished projections by inverse root mean squares.
CK_INLINE void finishProjections(const PackedConnection &packed, Working &working) {
  float *squares = working.table + packed.shape.blockTable();
  for (Index r = 0; r < packed.shape.stride; r += lanes)
    store(squares + r, 1.0f / squareRoot(load(squares + r) * (1.0f / float(packed.shape.C)) + packed.epsilon));
}

/// Computes coefficients from the finished projections of the columns from..<to; the projections themselves are stored in
/// `saved` unless it is null.
///
/// A column at a time: stores past the caches are slow unless consecutive registers fill whole cache lines.
CK_INLINE void finishCoefficients(
    const PackedConnection &packed, Working &working, Index from, Index to, float *saved) {
  const Shape &shape = packed.shape;
  const Index stride = shape.stride, period = packed.period;
  const float *inverses = working.table + shape.blockTable();
  if (saved)
    for (Index r = 0; r < stride; r += lanes) storeNontemporal(saved + shape.blockTable() + r, load(inverses + r));
  for (Index k = from; k < to; k++) {
    float *values = working.table + k * stride;
    const float *fixed = packed.fixed + k * period, *scale = packed.scale + k * period;
    if (saved)
      for (Index r = 0; r < stride; r += lanes) storeNontemporal(saved + k * stride + r, load(values + r));
    Index same = 0;
    for (Index r = 0; r < stride; r += lanes) {
      const Vector t = hyperbolicTangent(load(values + r) * (load(inverses + r) * tangentUnit));
      store(values + r, load(fixed + same) + load(scale + same) * t);
      same = same + lanes == period ? 0 : same + lanes;
    }
  }
}

/// The columns from..<to of the coefficients of `tokens` tokens whose states begin at `state`; see `finishCoefficients`.
CK_INLINE void computeCoefficients(
    const PackedConnection &packed, Working &working, const float *state, Index tokens, Index from, Index to,
    BlockPrefetch &prefetch, float *saved) {
  if (!packed.isDynamic) return;
  const Shape &shape = packed.shape;
  const Index rows = tokens * shape.n;
  if (shape.projectsAlongChannels(to - from))
    projectAlongChannels(packed, working, state, rows, from, to, prefetch);
  else
    for (Index first = 0; first < shape.C; first += shape.panel)
      projectPanel(packed, working, state, rows, first, std::min(shape.panel, shape.C - first), from, to, prefetch);
  finishProjections(packed, working);
  finishCoefficients(packed, working, from, to, saved);
}

}  // namespace ckernels::CK_CODE
