// The feed-forward sublayer of a few positions, from its norm to its output: dense, or the experts that are chosen.
#pragma once

/// Consecutive rows of activations that go through one feed-forward network.
struct SentRows {
  Index expert, first, count;
};

struct FeedForwardStep {
  const FeedForwardStepJob &job;
  const ck_feed_forward_layer &layer;
  Index inputs, outputs, inner, width, innerWidth;
  Index sent;  ///< rows times the experts of each
  int threads;
  float *normed = nullptr, *gathered = nullptr, *gates = nullptr, *ups = nullptr, *arranged = nullptr;
  float *results = nullptr, *probabilities = nullptr;
  std::vector<SentRows> groups;
  std::vector<NarrowTask> tasks;

  FeedForwardStep(const FeedForwardStepJob &job, int threads)
      : job(job), layer(*job.layer), inputs(layer.gate[0].inputs), outputs(layer.down[0].outputs),
        inner(layer.gate[0].outputs), width(Arranged::width(layer.gate[0])),
        innerWidth(Arranged::width(layer.down[0])), sent(job.rows * (layer.router ? layer.chosen : 1)),
        threads(threads) {}

  std::size_t cut(float *room) {
    Cutter cutter(room);
    normed = cutter.take(job.rows * inputs);
    gathered = cutter.take(sent * std::max(width, layer.router ? Arranged::width(*layer.router) : 0));
    gates = cutter.take(sent * inner);
    ups = cutter.take(sent * inner);
    arranged = cutter.take(sent * innerWidth);
    if (layer.router) {
      results = cutter.take(sent * outputs);
      probabilities = cutter.take(job.rows * layer.experts);
    }
    return cutter.count();
  }

  /// down (silu(gate x) * up x) of every group, for rows [sent, width] in order.
  void run(const float *x, float *y) {
    tasks.clear();
    for (const SentRows &group : groups) {
      const float *rows = x + group.first * width;
      const Index at = group.first * inner;
      tasks.push_back({&layer.gate[group.expert], rows, group.count, width, gates + at});
      tasks.push_back({&layer.up[group.expert], rows, group.count, width, ups + at});
    }
    narrowProducts(tasks.data(), int(tasks.size()), threads);
    swiglu(SwiGLUJob{.count = sent * inner, .gate = gates, .up = ups, .product = gates, .productGradient = nullptr,
                     .gateGradient = nullptr, .upGradient = nullptr}, threads);
    const float *rows = Arranged::rows(layer.down[0], gates, sent, arranged);
    tasks.clear();
    for (const SentRows &group : groups)
      tasks.push_back(
          {&layer.down[group.expert], rows + group.first * innerWidth, group.count, innerWidth,
           y + group.first * outputs});
    narrowProducts(tasks.data(), int(tasks.size()), threads);
  }
};

/// One row's way through one expert.
struct Choice {
  Index row, expert;
  float share;
};

/// The most probable experts of each row, the first of equals, and their shares in its output.
inline std::vector<Choice> chosenExperts(const FeedForwardStep &step) {
  const ck_feed_forward_layer &layer = step.layer;
  const Index experts = layer.experts;
  std::vector<Choice> choices;
  std::vector<Index> order(static_cast<std::size_t>(experts));
  for (Index row = 0; row < step.job.rows; row++) {
    float *p = step.probabilities + row * experts;
    const float most = *std::max_element(p, p + experts);
    float total = 0, chosen = 0;
    for (Index e = 0; e < experts; e++) total += p[e] = std::exp(p[e] - most);
    for (Index e = 0; e < experts; e++) order[std::size_t(e)] = e;
    std::partial_sort(order.begin(), order.begin() + layer.chosen, order.end(), [&](Index a, Index b) {
      return p[a] != p[b] ? p[a] > p[b] : a < b;
    });
    for (Index k = 0; k < layer.chosen; k++) chosen += p[order[std::size_t(k)]];
    for (Index k = 0; k < layer.chosen; k++)
      choices.push_back(
          {row, order[std::size_t(k)], p[order[std::size_t(k)]] / (layer.renormalizes ? chosen : total)});
  }
  std::sort(choices.begin(), choices.end(), [](const Choice &a, const Choice &b) {
    return a.expert != b.expert ? a.expert < b.expert : a.row < b.row;
  });
  return choices;
}

inline void runExperts(FeedForwardStep &step) {
  const ck_feed_forward_layer &layer = step.layer;
  // The room of the rows that are sent to experts is free until they are chosen.
  const NarrowTask routing{
      layer.router, Arranged::rows(*layer.router, step.normed, step.job.rows, step.gathered), step.job.rows,
      Arranged::width(*layer.router), step.probabilities};
  narrowProducts(&routing, 1, step.threads);
  const std::vector<Choice> choices = chosenExperts(step);
  for (Index each = 0; each < step.sent; each++) {
    const Choice &choice = choices[std::size_t(each)];
    if (step.groups.empty() || step.groups.back().expert != choice.expert)
      step.groups.push_back({choice.expert, each, 0});
    step.groups.back().count++;
    float *row = step.gathered + each * step.width;
    const float *x = step.normed + choice.row * step.inputs;
    if (Arranged::rows(layer.gate[0], x, 1, row) == x) std::copy_n(x, step.inputs, row);
  }
  step.run(step.gathered, step.results);
  std::fill_n(step.job.y, step.job.rows * step.outputs, 0.0f);
  for (Index each = 0; each < step.sent; each++) {
    const Choice &choice = choices[std::size_t(each)];
    float *y = step.job.y + choice.row * step.outputs;
    const float *x = step.results + each * step.outputs;
    for (Index c = 0; c < step.outputs; c++) y[c] += choice.share * x[c];
  }
}

inline bool feedForwardStep(const FeedForwardStepJob &job, int threads) {
  FeedForwardStep step(job, threads);
  float *room = scratch(step.cut(nullptr));
  if (!room) return false;
  step.cut(room);
  norm(NormJob{.rows = job.rows, .width = step.inputs, .x = job.x, .weight = step.layer.norm,
               .epsilon = step.layer.epsilon, .y = step.normed, .scale = nullptr}, 1);
  if (step.layer.router) {
    runExperts(step);
  } else {
    step.groups.push_back({0, 0, job.rows});
    step.run(Arranged::rows(step.layer.gate[0], step.normed, job.rows, step.gathered), job.y);
  }
  if (job.addsInput) addInput(job.x, job.rows * step.outputs, job.y);
  return true;
}
