// The coefficients of a block of tokens: norm, projection, tanh, scale, in one pass over the state.
#pragma once

/// What a thread keeps of the block it works on. All tables are [columns, stride].
struct Working {
  float *turned;        ///< [panel, stride]: the state with slots side by side, where anything wants it so
  float *squares;       ///< [stride]: the sum of the squares of each slot
  float *dots;          ///< projections of the state before the norm; then what a dynamic connection makes of them
  const float *values;  ///< the coefficients

  Working(const Plan &plan, Cutter &cutter, bool forBackward) {
    const Shape &shape = plan.shape;
    const bool turns = plan.isDynamic ? !shape.projectsAllAlongChannels() : forBackward && !shape.hasFewSlots();
    turned = turns ? cutter.take(shape.panel * shape.stride) : nullptr;
    squares = plan.isDynamic ? cutter.take(shape.stride) : nullptr;
    dots = plan.isDynamic ? cutter.take(shape.table()) : nullptr;
    values = plan.isDynamic ? dots : plan.fixed;
  }
};

/// Projects channels first..<first+width of `rows` slots onto the columns from..<to.
CK_INLINE void projectPanel(
    const Plan &plan, Working &working, const float *state, Index rows, Index first, Index width, Index from,
    Index to, Ahead &ahead) {
  const Shape &shape = plan.shape;
  if (first == 0) std::fill_n(working.squares, shape.stride, 0.0f);
  transpose(state + first, shape.C, rows, width, working.turned, shape.stride, working.squares);
  compute(Product{
      .out = working.dots + from * shape.stride,
      .outRow = shape.stride,
      .rows = to - from,
      .columns = shape.stride,
      .accumulates = first > 0,
      .termCount = 1,
      .terms = {{plan.weights + from * shape.C + first, shape.C, 1, working.turned, shape.stride, width}},
      .ahead = &ahead,
  });
}

/// Projects `rows` slots, as they lie, onto the columns from..<to.
CK_INLINE void projectAlongChannels(
    const Plan &plan, Working &working, const float *state, Index rows, Index from, Index to, Ahead &ahead) {
  const Index C = plan.shape.C, stride = plan.shape.stride;
  float *dots = working.dots + from * stride;
  sumSquares(state, C, rows, C, working.squares);
  compute(InnerProducts{dots, stride, plan.weights + from * C, C, to - from, state, C, rows, C, &ahead});
  // What no slot belongs to is not used, but must be finite.
  std::fill_n(working.squares + rows, stride - rows, 1.0f);
  for (Index k = 0; k < to - from; k++) std::fill_n(dots + k * stride + rows, stride - rows, 0.0f);
}

CK_INLINE Vector inverseRootMeanSquare(const Plan &plan, const Working &working, Index r) {
  return 1.0f / squareRoot(load(working.squares + r) * (1.0f / float(plan.shape.C)) + plan.epsilon);
}

/// Turns the finished projections of the columns from..<to into coefficients; the projections themselves go to `kept`
/// unless it is null.
CK_INLINE void finishCoefficients(const Plan &plan, Working &working, Index from, Index to, float *kept) {
  const Shape &shape = plan.shape;
  for (Index r = 0; r < shape.stride; r += lanes) {
    const Vector inverse = inverseRootMeanSquare(plan, working, r);
    const float *fixed = plan.fixed + r % plan.period, *scale = plan.scale + r % plan.period;
    for (Index k = from; k < to; k++) {
      float *dots = working.dots + k * shape.stride + r;
      const Vector dot = load(dots), t = hyperbolicTangent(dot * inverse);
      if (kept) store(kept + (k - from) * shape.stride + r, dot);
      store(dots, load(fixed + k * plan.period) + load(scale + k * plan.period) * t);
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
  finishCoefficients(plan, working, from, to, kept);
}
