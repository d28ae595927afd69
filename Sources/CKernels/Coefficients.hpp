// The coefficients of a block of tokens: norm, projection, tanh, scale, in one pass over the state.
#pragma once

/// What a thread keeps of the block it works on.
struct Working {
  float *turned;        ///< [panel, stride]: the state with slots side by side, where anything wants it so
  float *table;         ///< [columns + 1, stride]: projections, of which a dynamic connection's coefficients are made
  const float *values;  ///< [columns, stride]: the coefficients

  Working(const Plan &plan, Cutter &cutter, bool forBackward) {
    const Shape &shape = plan.shape;
    const bool projectsPanels = plan.isDynamic && !shape.projectsAlongChannels(shape.columns);
    const bool turns = projectsPanels || (forBackward && !shape.hasFewSlots());
    turned = turns ? cutter.take(shape.panel * shape.stride) : nullptr;
    table = plan.isDynamic ? cutter.take(shape.projections()) : nullptr;
    values = plan.isDynamic ? table : plan.fixed;
  }
};

/// Turns channels first..<first+width of `rows` slots; adds up their squares unless `squares` is null.
CK_INLINE void turnPanel(
    const Plan &plan, Working &working, const float *state, Index rows, Index first, Index width, float *squares) {
  const Shape &shape = plan.shape;
  if (squares && first == 0) std::fill_n(squares, shape.stride, 0.0f);
  transpose(state + first, shape.C, rows, width, working.turned, shape.stride, squares);
}

/// Projects channels first..<first+width of `rows` slots onto the columns from..<to, and adds up their squares.
CK_INLINE void projectPanel(
    const Plan &plan, Working &working, const float *state, Index rows, Index first, Index width, Index from,
    Index to, Ahead &ahead) {
  const Shape &shape = plan.shape;
  turnPanel(plan, working, state, rows, first, width, working.table + shape.table());
  compute(Product{
      .out = working.table + from * shape.stride,
      .outRow = shape.stride,
      .rows = to - from,
      .columns = shape.stride,
      .accumulates = first > 0,
      .termCount = 1,
      .terms = {{plan.weights + from * shape.C + first, shape.C, 1, working.turned, shape.stride, width}},
      .ahead = &ahead,
  });
}

/// Projects `rows` slots, as they lie, onto the columns from..<to, and adds up their squares.
CK_INLINE void projectAlongChannels(
    const Plan &plan, Working &working, const float *state, Index rows, Index from, Index to, Ahead &ahead) {
  const Index C = plan.shape.C, stride = plan.shape.stride;
  float *out = working.table + from * stride, *squares = working.table + plan.shape.table();
  sumSquares(state, C, rows, C, squares);
  compute(InnerProducts{out, stride, plan.weights + from * C, C, to - from, state, C, rows, C, &ahead});
  // What no slot belongs to is not used, but must be finite.
  std::fill_n(squares + rows, stride - rows, 1.0f);
  for (Index k = 0; k < to - from; k++) std::fill_n(out + k * stride + rows, stride - rows, 0.0f);
}

/// Makes inverse root mean squares of the sums of squares below the finished projections.
CK_INLINE void finishProjections(const Plan &plan, Working &working) {
  float *squares = working.table + plan.shape.table();
  for (Index r = 0; r < plan.shape.stride; r += lanes)
    store(squares + r, 1.0f / squareRoot(load(squares + r) * (1.0f / float(plan.shape.C)) + plan.epsilon));
}

/// Turns the finished projections of the columns from..<to into coefficients; the projections themselves go to `kept`
/// unless it is null.
///
/// A column at a time: what goes past the caches is slow where registers do not follow one another to whole lines of
/// memory.
CK_INLINE void finishCoefficients(const Plan &plan, Working &working, Index from, Index to, float *kept) {
  const Shape &shape = plan.shape;
  const Index stride = shape.stride, period = plan.period;
  const float *inverses = working.table + shape.table();
  if (kept)
    for (Index r = 0; r < stride; r += lanes) storeAside(kept + shape.table() + r, load(inverses + r));
  for (Index k = from; k < to; k++) {
    float *values = working.table + k * stride;
    const float *fixed = plan.fixed + k * period, *scale = plan.scale + k * period;
    if (kept)
      for (Index r = 0; r < stride; r += lanes) storeAside(kept + k * stride + r, load(values + r));
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
    const Plan &plan, Working &working, const float *state, Index tokens, Index from, Index to,
    Ahead &ahead, float *kept = nullptr) {
  if (!plan.isDynamic) return;
  const Shape &shape = plan.shape;
  const Index rows = tokens * shape.n;
  if (shape.projectsAlongChannels(to - from))
    projectAlongChannels(plan, working, state, rows, from, to, ahead);
  else
    for (Index first = 0; first < shape.C; first += shape.panel)
      projectPanel(plan, working, state, rows, first, std::min(shape.panel, shape.C - first), from, to, ahead);
  finishProjections(plan, working);
  finishCoefficients(plan, working, from, to, kept);
}
