// Sampling a token from a row of logits: filtering by temperature, top-k, top-p and min-p, then the index at which the
// running sum of the weights exceeds a uniform number times their total.
//
// Each filter is a threshold: the smallest weight that remains. It is selected among a few candidates, so the row is never
// sorted.
#pragma once

#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

/// Weights in one float sum; these sums are added up in double.
constexpr Index weightsTogether = 512;

struct SampleRow {
  const ck_sample_args &args;
  float *logits;      ///< [width]: with the repetition penalty; null without one
  float *weights;     ///< [width]: e^((logit - maximum) / temperature), or 0 for what top-k removes
  float *candidates;  ///< [width]
  double *sums;       ///< of the weights of every `weightsTogether`

  SampleRow(const ck_sample_args &args, BumpAllocator &allocator) : args(args) {
    logits = args.seen ? allocator.take(args.width) : nullptr;
    weights = allocator.take(args.width);
    candidates = allocator.take(args.width);
    sums = reinterpret_cast<double *>(allocator.take(2 * parts()));
  }

  Index parts() const { return (args.width + weightsTogether - 1) / weightsTogether; }

  /// Copies the `values` of at least `threshold` to the candidates; returns their number.
  Index select(const float *values, float threshold) {
    Index count = 0;
    for (Index i = 0; i < args.width; i++) {
      candidates[count] = values[i];
      count += values[i] >= threshold;
    }
    return count;
  }
};

/// The row's logits with the repetition penalty, still finite.
inline const float *penalized(SampleRow &row, Index index) {
  const ck_sample_args &args = row.args;
  const float *x = args.x + index * args.width;
  if (!args.seen) return x;
  const bool *seen = args.seen + index * args.width;
  const double penalty = args.settings->repetition_penalty, maximum = std::numeric_limits<float>::max();
  for (Index i = 0; i < args.width; i++) {
    const double value = x[i], changed = value < 0 ? value * penalty : value / penalty;
    row.logits[i] = seen[i] ? float(std::clamp(changed, -maximum, maximum)) : x[i];
  }
  return row.logits;
}

/// The k-th largest of the row's elements.
inline float thresholdOfTopK(SampleRow &row, const float *x, Index k) {
  constexpr Index together = 64;
  const Index width = row.args.width, groups = (width + together - 1) / together;
  float threshold = -std::numeric_limits<float>::infinity();
  if (k <= groups) {
    // The k-th largest of the groups' maxima: at least k elements of the row reach it.
    for (Index g = 0; g < groups; g++)
      row.candidates[g] = maximumOf(x + g * together, std::min(together, width - g * together));
    std::nth_element(row.candidates, row.candidates + k - 1, row.candidates + groups, std::greater<float>());
    threshold = row.candidates[k - 1];
  }
  const Index count = row.select(x, threshold);
  std::nth_element(row.candidates, row.candidates + k - 1, row.candidates + count, std::greater<float>());
  return row.candidates[k - 1];
}

/// Sums up the weights that `weightsAt(isPart, i, count)` returns for the tokens from i on: a register of them, or with the
/// constant `isPart` `count` of them and zeros.
template <typename WeightsAt>
CK_INLINE void sumParts(SampleRow &row, WeightsAt weightsAt) {
  for (Index part = 0; part < row.parts(); part++) {
    const Index last = std::min((part + 1) * weightsTogether, row.args.width);
    Vector total = 0.0f;
    forEachRegister(part * weightsTogether, last, [&](auto isPart, Index i, Index count) {
      [[clang::always_inline]] total += weightsAt(isPart, i, count);
    });
    row.sums[part] = double(sum(total));
  }
}

/// The weights of all logits of at least `threshold`, and their sums.
CK_INLINE void computeWeights(SampleRow &row, const float *x, float maximum, float threshold) {
  // An infinite difference times a zero would be NaN.
  const float limit = std::numeric_limits<float>::max();
  const float inverse = float(std::min(1 / row.args.settings->temperature, double(limit)));
  sumParts(row, [&](auto isPart, Index i, Index count) {
    const Vector lowest = -87.0f, none = 0.0f, farthest = -limit, logit = loadTile<isPart>(x + i, count);
    const Vector difference = logit - maximum, score = (difference < farthest ? farthest : difference) * inverse;
    const Vector power = score < lowest ? none : exponential(score), weight = logit < Vector(threshold) ? none : power;
    if constexpr (!isPart) {
      store(row.weights + i, weight);
      return weight;
    }
    storePart(row.weights + i, weight, count);
    return loadPart(row.weights + i, count);
  });
}

/// The sums of the weights of at least `threshold`.
CK_INLINE void sumRemaining(SampleRow &row, float threshold) {
  sumParts(row, [&](auto isPart, Index i, Index count) {
    const Vector weight = loadTile<isPart>(row.weights + i, count), none = 0.0f;
    return weight < Vector(threshold) ? none : weight;
  });
}

/// The largest weight t for which the weights of at least t sum to `needed` or more. Reorders the weights.
inline float thresholdOfSum(float *first, float *last, double needed) {
  while (true) {
    float samples[3] = {first[0], first[(last - first) / 2], last[-1]};
    std::sort(samples, samples + 3);
    const float pivot = samples[1];
    float *equal = std::partition(first, last, [=](float weight) { return weight > pivot; });
    const double above = std::accumulate(first, equal, 0.0);
    if (above >= needed) {
      last = equal;
      continue;
    }
    float *below = std::partition(equal, last, [=](float weight) { return weight == pivot; });
    const double through = above + double(pivot) * double(below - equal);
    if (through >= needed || below == last) return pivot;
    needed -= through;
    first = below;
  }
}

/// The smallest weight that top-p keeps.
inline float thresholdOfTopP(SampleRow &row, double share) {
  const double total = std::accumulate(row.sums, row.sums + row.parts(), 0.0);
  // The weights below it sum to less than top-p removes. The factor allows for rounding.
  const float threshold = float((1 - share) * total / double(row.args.width) * 0.999);
  const Index count = row.select(row.weights, std::max(threshold, std::numeric_limits<float>::min()));
  return thresholdOfSum(row.candidates, row.candidates + count, share * total);
}

/// The first index at which the running sum of the weights of at least `threshold` exceeds `uniform` times the total.
inline Index indexBeyond(const SampleRow &row, double uniform, float threshold) {
  const double target = uniform * std::accumulate(row.sums, row.sums + row.parts(), 0.0);
  Index part = 0, index = -1;
  double before = 0, running = 0;
  for (Index p = 0; p < row.parts() && running <= target; p++) {
    if (row.sums[p] <= 0) continue;
    part = p;
    before = running;
    running += row.sums[p];
  }
  // This sum is in another order than that of the part and may not reach the target: then the last index is taken.
  running = before;
  for (Index i = part * weightsTogether; i < std::min((part + 1) * weightsTogether, row.args.width); i++) {
    if (row.weights[i] < threshold) continue;
    index = i;
    running += row.weights[i];
    if (running > target) break;
  }
  return index;
}

inline Index sampleRow(SampleRow &row, Index index) {
  const ck_sample_args &args = row.args;
  if (!areFinite(args.x + index * args.width, args.width)) return -1;
  const float *x = penalized(row, index);
  const float infinity = std::numeric_limits<float>::infinity();
  const bool hasTopK = args.settings->top_k > 0 && args.settings->top_k < args.width;
  computeWeights(row, x, maximumOf(x, args.width), hasTopK ? thresholdOfTopK(row, x, args.settings->top_k) : -infinity);
  // A weight of zero is never sampled.
  float threshold = std::max(float(args.settings->min_p), std::numeric_limits<float>::min());
  if (args.settings->top_p < 1) threshold = std::max(threshold, thresholdOfTopP(row, args.settings->top_p));
  if (args.settings->top_p < 1 || args.settings->min_p > 0) sumRemaining(row, threshold);
  return indexBeyond(row, args.uniform[index], threshold);
}

inline bool sample(const ck_sample_args &args, int threads) {
  BumpAllocator count(nullptr);
  SampleRow(args, count);
  // The exponential of an element alone has about ten multiplications.
  const Shares shares = usefulShares(args.rows, args.rows * args.width * 10, threads);
  float *memory = scratch(count.count() * std::size_t(shares.threads));
  if (!memory) return false;
  forEachShare(shares, [&](int thread, int share) {
    BumpAllocator allocator(memory + count.count() * std::size_t(thread));
    SampleRow row(args, allocator);
    for (Index index = shares.first(share); index < shares.first(share + 1); index++)
      args.indices[index] = sampleRow(row, index);
  });
  return true;
}

}  // namespace ckernels::CK_CODE
