// The feed-forward sublayer of a few positions, from its norm to its output: one network, or the chosen experts.
#pragma once

#include "Decode/Sublayer.hpp"
#include "Layers/SwiGLU.hpp"

namespace ckernels::CK_CODE {

/// The consecutive rows of activations that one expert computes.
struct ExpertBlock {
  Index expert, first, count;
};

struct FeedForwardSublayer {
  const ck_feed_forward_sublayer_args &args;
  const ck_feed_forward_layer &layer;
  Index inputs, outputs, inner, width, innerWidth;
  Index routedTokens;  ///< rows times chosen experts
  int threads;
  float *normed = nullptr, *dispatched = nullptr, *gates = nullptr, *ups = nullptr, *packed = nullptr;
  float *results = nullptr, *probabilities = nullptr;
  std::vector<ExpertBlock> blocks;
  std::vector<SkinnyTask> tasks;

  FeedForwardSublayer(const ck_feed_forward_sublayer_args &args, int threads)
      : args(args), layer(*args.layer), inputs(layer.gate[0].inputs), outputs(layer.down[0].outputs),
        inner(layer.gate[0].outputs), width(PackedActivations::width(layer.gate[0])),
        innerWidth(PackedActivations::width(layer.down[0])),
        routedTokens(args.rows * (layer.router ? layer.chosen : 1)), threads(threads) {}

  /// Assigns the working memory; returns the floats that it takes.
  std::size_t assignMemory(float *memory) {
    BumpAllocator allocator(memory);
    normed = allocator.take(args.rows * inputs);
    dispatched =
        allocator.take(routedTokens * std::max(width, layer.router ? PackedActivations::width(*layer.router) : 0));
    gates = allocator.take(routedTokens * inner);
    ups = allocator.take(routedTokens * inner);
    packed = allocator.take(routedTokens * innerWidth);
    if (layer.router) {
      results = allocator.take(routedTokens * outputs);
      probabilities = allocator.take(args.rows * layer.experts);
    }
    return allocator.count();
  }

  /// down (silu(gate x) * up x) of every block, for rows [routedTokens, width] in order.
  void run(const float *x, float *y) {
    tasks.clear();
    for (const ExpertBlock &block : blocks) {
      const float *rows = x + block.first * width;
      const Index at = block.first * inner;
      tasks.push_back({&layer.gate[block.expert], rows, block.count, width, gates + at});
      tasks.push_back({&layer.up[block.expert], rows, block.count, width, ups + at});
    }
    skinnyGEMMs(tasks.data(), int(tasks.size()), threads);
    swiglu(ck_swiglu_args{.count = routedTokens * inner, .gate = gates, .up = ups, .product = gates}, threads);
    const float *rows = PackedActivations::rows(layer.down[0], gates, routedTokens, packed);
    tasks.clear();
    for (const ExpertBlock &block : blocks)
      tasks.push_back(
          {&layer.down[block.expert], rows + block.first * innerWidth, block.count, innerWidth,
           y + block.first * outputs});
    skinnyGEMMs(tasks.data(), int(tasks.size()), threads);
  }
};

/// A row, one of its experts, and the weight of the expert's output.
struct RoutedToken {
  Index row, expert;
  float weight;
};

/// The most probable experts of each row, ordered by expert, then by row. Among equals the first expert is chosen.
inline std::vector<RoutedToken> routeTokens(const FeedForwardSublayer &step) {
  const ck_feed_forward_layer &layer = step.layer;
  const Index experts = layer.experts;
  std::vector<RoutedToken> routed;
  std::vector<Index> order(static_cast<std::size_t>(experts));
  for (Index row = 0; row < step.args.rows; row++) {
    float *p = step.probabilities + row * experts;
    const float maximum = *std::max_element(p, p + experts);
    float total = 0, chosen = 0;
    for (Index e = 0; e < experts; e++) total += p[e] = std::exp(p[e] - maximum);
    for (Index e = 0; e < experts; e++) order[std::size_t(e)] = e;
    std::partial_sort(order.begin(), order.begin() + layer.chosen, order.end(), [&](Index a, Index b) {
      return p[a] != p[b] ? p[a] > p[b] : a < b;
    });
    for (Index k = 0; k < layer.chosen; k++) chosen += p[order[std::size_t(k)]];
    for (Index k = 0; k < layer.chosen; k++)
      routed.push_back({row, order[std::size_t(k)], p[order[std::size_t(k)]] / (layer.renormalizes ? chosen : total)});
  }
  std::sort(routed.begin(), routed.end(), [](const RoutedToken &a, const RoutedToken &b) {
    return a.expert != b.expert ? a.expert < b.expert : a.row < b.row;
  });
  return routed;
}

inline void runExperts(FeedForwardSublayer &step) {
  const ck_feed_forward_layer &layer = step.layer;
  // The router uses the memory of the dispatched rows, which are copied after it.
  skinnyGEMM(*layer.router, step.normed, step.args.rows, step.dispatched, step.probabilities, step.threads);
  const std::vector<RoutedToken> routed = routeTokens(step);
  for (Index each = 0; each < step.routedTokens; each++) {
    const RoutedToken &token = routed[std::size_t(each)];
    if (step.blocks.empty() || step.blocks.back().expert != token.expert)
      step.blocks.push_back({token.expert, each, 0});
    step.blocks.back().count++;
    float *row = step.dispatched + each * step.width;
    const float *x = step.normed + token.row * step.inputs;
    if (PackedActivations::rows(layer.gate[0], x, 1, row) == x) std::copy_n(x, step.inputs, row);
  }
  step.run(step.dispatched, step.results);
  std::fill_n(step.args.y, step.args.rows * step.outputs, 0.0f);
  for (Index each = 0; each < step.routedTokens; each++) {
    const RoutedToken &token = routed[std::size_t(each)];
    float *y = step.args.y + token.row * step.outputs;
    const float *x = step.results + each * step.outputs;
    for (Index c = 0; c < step.outputs; c++) y[c] += token.weight * x[c];
  }
}

inline bool feedForwardSublayer(const ck_feed_forward_sublayer_args &args, int threads) {
  FeedForwardSublayer step(args, threads);
  if (!allocateMemory(step)) return false;
  normalizeInput(step.layer, args.x, args.rows, step.inputs, step.normed);
  if (step.layer.router) {
    runExperts(step);
  } else {
    step.blocks.push_back({0, 0, args.rows});
    step.run(PackedActivations::rows(step.layer.gate[0], step.normed, args.rows, step.dispatched), args.y);
  }
  if (args.adds_input) addInput(args.x, args.rows * step.outputs, args.y);
  return true;
}

}  // namespace ckernels::CK_CODE
