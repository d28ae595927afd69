// A token drawn from a row of logits: what temperature, top-k, top-p and min-p leave of it, and the place at which the
// running sum of the weights passes a number's share of the whole.
//
// Each filter comes down to the least weight that stays, and none needs the row sorted: of those that are candidates at
// all, which are few, the least one is selected.
#pragma once

/// So many weights are summed up in float, and their sums in double.
constexpr Index drawnTogether = 512;

struct DrawRow {
  const DrawJob &job;
  float *logits;      ///< [width]: with repetition penalised
  float *weights;     ///< [width]: e^((logit - largest) / temperature), or 0 for what top-k leaves out
  float *candidates;  ///< [width]
  double *sums;       ///< of the weights of every `drawnTogether`

  DrawRow(const DrawJob &job, Cutter &cutter) : job(job) {
    logits = job.seen ? cutter.take(job.width) : nullptr;
    weights = cutter.take(job.width);
    candidates = cutter.take(job.width);
    sums = reinterpret_cast<double *>(cutter.take(2 * parts()));
  }

  Index parts() const { return (job.width + drawnTogether - 1) / drawnTogether; }

  /// Puts those of `values` that are not less than `least` at the beginning of the candidates; how many there are.
  Index gather(const float *values, float least) {
    Index count = 0;
    for (Index i = 0; i < job.width; i++) {
      candidates[count] = values[i];
      count += values[i] >= least;
    }
    return count;
  }
};

/// The row's logits with those of tokens seen before made less likely, and still finite.
inline const float *penalized(DrawRow &row, Index index) {
  const DrawJob &job = row.job;
  const float *x = job.x + index * job.width;
  if (!job.seen) return x;
  const bool *seen = job.seen + index * job.width;
  const double penalty = job.settings->repetition_penalty, most = std::numeric_limits<float>::max();
  for (Index i = 0; i < job.width; i++) {
    const double value = x[i], changed = value < 0 ? value * penalty : value / penalty;
    row.logits[i] = seen[i] ? float(std::clamp(changed, -most, most)) : x[i];
  }
  return row.logits;
}

/// The k-th largest of the row's numbers.
inline float leastOfTop(DrawRow &row, const float *x, Index k) {
  constexpr Index together = 64;
  const Index width = row.job.width, groups = (width + together - 1) / together;
  float least = -std::numeric_limits<float>::infinity();
  if (k <= groups) {
    // As many groups have a number that is no less, and so has the row.
    for (Index g = 0; g < groups; g++)
      row.candidates[g] = largestOf(x + g * together, std::min(together, width - g * together));
    std::nth_element(row.candidates, row.candidates + k - 1, row.candidates + groups, std::greater<float>());
    least = row.candidates[k - 1];
  }
  const Index count = row.gather(x, least);
  std::nth_element(row.candidates, row.candidates + k - 1, row.candidates + count, std::greater<float>());
  return row.candidates[k - 1];
}

/// Sums up what `weightsAt(i, isPart, count)` gives for the tokens from i on: a register of weights or, where `isPart`,
/// `count` of them and zeros.
template <typename WeightsAt>
CK_INLINE void sumParts(DrawRow &row, WeightsAt weightsAt) {
  for (Index part = 0; part < row.parts(); part++) {
    const Index last = std::min((part + 1) * drawnTogether, row.job.width);
    Vector total = 0.0f;
    Index i = part * drawnTogether;
    for (; i + lanes <= last; i += lanes) total += weightsAt(i, std::false_type(), lanes);
    if (i < last) total += weightsAt(i, std::true_type(), last - i);
    row.sums[part] = double(sum(total));
  }
}

/// The weights of all logits that are not less than `least`, and their sums.
CK_INLINE void weigh(DrawRow &row, const float *x, float largest, float least) {
  // Nothing infinite is to meet a zero.
  const float most = std::numeric_limits<float>::max();
  const float inverse = float(std::min(1 / row.job.settings->temperature, double(most)));
  sumParts(row, [&](Index i, auto isPart, Index count) {
    const Vector lowest = -87.0f, none = 0.0f, farthest = -most, logit = loadTile<isPart>(x + i, count);
    const Vector difference = logit - largest, score = (difference < farthest ? farthest : difference) * inverse;
    const Vector power = score < lowest ? none : exponential(score), weight = logit < Vector(least) ? none : power;
    if constexpr (!isPart) {
      store(row.weights + i, weight);
      return weight;
    }
    storePart(row.weights + i, weight, count);
    return loadPart(row.weights + i, count);
  });
}

/// The sums of the weights that are not less than `least`.
CK_INLINE void sumKept(DrawRow &row, float least) {
  sumParts(row, [&](Index i, auto isPart, Index count) {
    const Vector weight = loadTile<isPart>(row.weights + i, count), none = 0.0f;
    return weight < Vector(least) ? none : weight;
  });
}

/// The least of the weights such that those above it make up less than `needed`, with which it is among the fewest that
/// make up as much. What lies between `first` and `last` changes its order.
inline float leastNeeded(float *first, float *last, double needed) {
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

/// The least weight that top-p leaves.
inline float leastOfShare(DrawRow &row, double share) {
  const double total = std::accumulate(row.sums, row.sums + row.parts(), 0.0);
  // All that are less make up less than what may be left out. The factor is for rounding.
  const float least = float((1 - share) * total / double(row.job.width) * 0.999);
  const Index count = row.gather(row.weights, std::max(least, std::numeric_limits<float>::min()));
  return leastNeeded(row.candidates, row.candidates + count, share * total);
}

/// The first place, but of a weight less than `least`, at which the running sum is beyond the number's share.
inline Index placeBeyond(const DrawRow &row, double number, float least) {
  const double target = number * std::accumulate(row.sums, row.sums + row.parts(), 0.0);
  Index part = 0, place = -1;
  double before = 0, running = 0;
  for (Index p = 0; p < row.parts() && running <= target; p++) {
    if (row.sums[p] <= 0) continue;
    part = p;
    before = running;
    running += row.sums[p];
  }
  // Formed in another order, the sum may not come so far: then it is the last of the part.
  running = before;
  for (Index i = part * drawnTogether; i < std::min((part + 1) * drawnTogether, row.job.width); i++) {
    if (row.weights[i] < least) continue;
    place = i;
    running += row.weights[i];
    if (running > target) break;
  }
  return place;
}

inline Index drawnPlace(DrawRow &row, Index index) {
  const DrawJob &job = row.job;
  if (!areFinite(job.x + index * job.width, job.width)) return -1;
  const float *x = penalized(row, index);
  const float infinity = std::numeric_limits<float>::infinity();
  const bool takesTop = job.settings->top_k > 0 && job.settings->top_k < job.width;
  weigh(row, x, largestOf(x, job.width), takesTop ? leastOfTop(row, x, job.settings->top_k) : -infinity);
  // A weight of zero is none.
  float least = std::max(float(job.settings->min_p), std::numeric_limits<float>::min());
  if (job.settings->top_p < 1) least = std::max(least, leastOfShare(row, job.settings->top_p));
  if (job.settings->top_p < 1 || job.settings->min_p > 0) sumKept(row, least);
  return placeBeyond(row, job.numbers[index], least);
}

struct DrawRun {
  const DrawJob &job;
  int parts;
  float *scratch;
  std::size_t each;
};

inline void drawPart(void *context, int part) {
  const DrawRun &run = *static_cast<const DrawRun *>(context);
  const DrawJob &job = run.job;
  Cutter cutter(run.scratch + run.each * std::size_t(part));
  DrawRow row(job, cutter);
  for (Index index = job.rows * part / run.parts; index < job.rows * (part + 1) / run.parts; index++)
    job.places[index] = drawnPlace(row, index);
}

inline bool draw(const DrawJob &job, int threads) {
  Cutter count(nullptr);
  DrawRow(job, count);
  // Among all that is done with a number, its exponential alone has some ten multiplications.
  const int parts = usefulParts(job.rows, job.rows * job.width * 10, threads);
  float *memory = scratch(count.count() * std::size_t(parts));
  if (!memory) return false;
  DrawRun run{job, parts, memory, count.count()};
  forEachPart(parts, drawPart, &run);
  return true;
}
