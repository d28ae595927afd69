// The backward pass of a block of tokens. With q = gradient of the projections times 1 / root mean square, the state's
// gradient is one product per token, and that of the maps one product per block; the gain's follows from the latter.
#pragma once

#include "HyperConnection/Blocks.hpp"
#include "HyperConnection/Gradients.hpp"

namespace ckernels::CK_CODE {

/// Further working memory of the backward pass.
struct BackwardWorking {
  float *gradients;  ///< [columns, stride]: of the coefficients, then q
  float *diagonal;   ///< [stride]: the factor of each slot in its own gradient, by the norm
  float *token;      ///< [n, C]: the gradient of a token's state, before it may overwrite that of the next state

  BackwardWorking(const PackedConnection &packed, BumpAllocator &allocator) {
    gradients = allocator.take(packed.shape.blockTable());
    diagonal = packed.isDynamic ? allocator.take(packed.shape.stride) : nullptr;
    token = allocator.take(packed.shape.n * packed.shape.C);
  }
};

/// The inputs of the backward pass of a connection, from the first token of a block on.
struct BackwardInput {
  const float *state, *output, *inputGradient, *nextStateGradient;
  const float *projections;  ///< as the forward pass saved them, or null
};

/// The gradients of the coefficients of one token, over `width` channels from `first` on: for read and carry inner products
/// of the state with the gradients of the sublayer's input and the next state, for write of the output with the latter.
CK_INLINE void innerProductsOfToken(
    const PackedConnection &packed, const Working &working, const BackwardWorking &back, const BackwardInput &in,
    Index t, Index first, Index width, BlockPrefetch &prefetch) {
  const Shape &shape = packed.shape;
  const Index m = shape.m, n = shape.n, C = shape.C, stride = shape.stride;
  const float *state = in.state + t * n * C, *gradient = in.nextStateGradient + t * n * C;
  const float *input = in.inputGradient + t * m * C, *output = in.output + t * m * C;
  auto multiplyAlong = [&](Index column, Index count, const float *left, const float *right) {
    compute(InnerProducts{back.gradients + column * stride + t * n, stride, left, C, count, right, C, n, C, &prefetch});
  };
  if (first == 0) multiplyAlong(m + n, m, output, gradient);
  if (shape.hasFewSlots()) {
    multiplyAlong(0, m, input, state);
    multiplyAlong(m, n, gradient, state);
    return;
  }
  auto multiply = [&](Index column, Index count, const float *left) {
    compute(Product{
        .out = back.gradients + column * stride + t * n,
        .outRow = stride,
        .rows = count,
        .columns = n,
        .accumulates = first > 0,
        .termCount = 1,
        .terms = {{left + first, C, 1, working.transposed + t * n, stride, width}},
        .prefetch = &prefetch,
    });
  };
  multiply(0, m, input);
  multiply(m, n, gradient);
}

/// The projections of the block, where they were not saved, and the gradients of its coefficients.
CK_INLINE void coefficientGradients(
    const PackedConnection &packed, Working &working, BackwardWorking &back, const BackwardInput &in, Index tokens,
    BlockPrefetch &prefetch) {
  const Shape &shape = packed.shape;
  const Index C = shape.C, rows = tokens * shape.n;
  if (tokens < shape.tokens) std::fill_n(back.gradients, shape.blockTable(), 0.0f);
  const bool transposes = !shape.hasFewSlots(), projects = packed.isDynamic && !in.projections;
  const bool projectsPanels = projects && (transposes || !shape.projectsAlongChannels(shape.columns));
  if (projects && !projectsPanels) projectAlongChannels(packed, working, in.state, rows, 0, shape.columns, prefetch);
  for (Index first = 0; first < C && (projectsPanels || transposes); first += shape.panel) {
    const Index width = std::min(shape.panel, C - first);
    if (projectsPanels)
      projectPanel(packed, working, in.state, rows, first, width, 0, shape.columns, prefetch);
    else
      transposePanel(packed, working, in.state, rows, first, width, nullptr);
    if (transposes)
      for (Index t = 0; t < tokens; t++) innerProductsOfToken(packed, working, back, in, t, first, width, prefetch);
  }
  if (projects) finishProjections(packed, working);
  if (!transposes)
    for (Index t = 0; t < tokens; t++) innerProductsOfToken(packed, working, back, in, t, 0, C, prefetch);
}

/// For some registers of slots from `first` on: computes coefficients from projections and q from the gradients of the
/// coefficients, and adds the gradients of static coefficients and scales. All in one pass, because the tables of many
/// slots do not fit the nearest cache.
template <int Registers>
CK_INLINE void finishGradientsOfSlots(
    const PackedConnection &packed, Working &working, BackwardWorking &back, Sums &sums, const float *projections,
    Index first) {
  const Shape &shape = packed.shape;
  Vector inverse[Registers], unit[Registers], along[Registers];
  Index shared[Registers];
  CK_UNROLL
  for (int i = 0; i < Registers; i++) {
    shared[i] = (first + i * lanes) % packed.period;
    inverse[i] = load(projections + shape.blockTable() + first + i * lanes);
    unit[i] = inverse[i] * tangentUnit;
    along[i] = 0.0f;
  }
  float *values = working.table + first, *gradients = back.gradients + first;
  projections += first;
  float *fixedSum = sums.fixed, *scaleSum = sums.scale;
  const float *fixed = packed.fixed, *scales = packed.scale;
  const Index stride = shape.stride, period = packed.period;
  for (Index k = 0; k < shape.columns; k++) {
    CK_UNROLL
    for (int i = 0; i < Registers; i++) {
      const Index at = i * lanes, same = shared[i];
      const Vector gradient = load(gradients + at), dot = load(projections + at), scale = load(scales + same);
      const Vector t = hyperbolicTangent(dot * unit[i]);
      store(values + at, load(fixed + same) + scale * t);
      store(fixedSum + same, load(fixedSum + same) + gradient);
      store(scaleSum + same, load(scaleSum + same) + gradient * t);
      const Vector q = gradient * scale * (1.0f - t * t) * inverse[i];
      along[i] += q * dot;
      store(gradients + at, q);
    }
    values += stride, projections += stride, gradients += stride;
    fixed += period, scales += period, fixedSum += period, scaleSum += period;
  }
  CK_UNROLL
  for (int i = 0; i < Registers; i++)
    store(back.diagonal + first + i * lanes, -along[i] * inverse[i] * inverse[i] * (1.0f / float(shape.C)));
}

CK_INLINE void finishGradients(
    const PackedConnection &packed, Working &working, BackwardWorking &back, Sums &sums, const float *projections) {
  const Index stride = packed.shape.stride;
  Index r = 0;
  for (; r + 4 * lanes <= stride; r += 4 * lanes)
    finishGradientsOfSlots<4>(packed, working, back, sums, projections, r);
  for (; r < stride; r += lanes) finishGradientsOfSlots<1>(packed, working, back, sums, projections, r);
}

/// The whole backward pass of a block; `stateGradient` may be that of the next state.
CK_INLINE void backwardBlock(
    const PackedConnection &packed, Working &working, BackwardWorking &back, Sums &sums, const BackwardInput &in,
    Index tokens, float *stateGradient, BlockPrefetch &prefetch) {
  const Shape &shape = packed.shape;
  const Index m = shape.m, n = shape.n, C = shape.C, stride = shape.stride;
  coefficientGradients(packed, working, back, in, tokens, prefetch);
  if (packed.isDynamic)
    finishGradients(packed, working, back, sums, in.projections ? in.projections : working.table);
  else
    for (Index i = 0; i < shape.blockTable(); i += lanes)
      store(sums.fixed + i, load(sums.fixed + i) + load(back.gradients + i));
  const bool isInPlace = stateGradient == in.nextStateGradient;
  for (Index t = 0; t < tokens; t++) {
    const float *read = working.values + t * n, *carry = read + m * stride;
    float *result = stateGradient + t * n * C;
    compute(Product{
        .out = isInPlace ? back.token : result,
        .outRow = C,
        .rows = n,
        .columns = C,
        .termCount = packed.isDynamic ? 3 : 2,
        .terms =
            {{read, 1, stride, in.inputGradient + t * m * C, C, m},
             {carry, 1, stride, in.nextStateGradient + t * n * C, C, n},
             {back.gradients + t * n, 1, stride, packed.weights, C, shape.columns}},
        .diagonal = packed.isDynamic ? back.diagonal + t * n : nullptr,
        .base = in.state + t * n * C,
        .baseRow = C,
        .prefetch = &prefetch,
    });
    if (isInPlace) std::copy_n(back.token, n * C, result);
  }
  if (packed.isDynamic)
    compute(Product{
        .out = sums.maps,
        .outRow = C,
        .rows = shape.columns,
        .columns = C,
        .accumulates = true,
        .termCount = 1,
        .terms = {{back.gradients, stride, 1, in.state, C, tokens * n}},
        .prefetch = &prefetch,
    });
}

}  // namespace ckernels::CK_CODE
