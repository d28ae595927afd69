// AdamW over many parameters as if they were one long array, and the norm of their gradients.
#pragma once

struct AdamWRun {
  const AdamWJob &job;
  Shares shares;  ///< of cache lines of the long array
  Index total;
  double *squares;

  Index first(int share) const { return std::min(shares.first(share) * 16, total); }

  /// Calls `body` with every parameter of a share, and the elements of it that belong to the share.
  template <typename Body>
  void forEach(int share, const Body &body) const {
    const Index begin = first(share), end = first(share + 1);
    Index before = 0;
    for (Index i = 0; i < Index(job.count); before += Index(job.parameters[i++].count)) {
      const ck_parameter &parameter = job.parameters[i];
      const Index from = std::max(begin - before, Index(0)), to = std::min(end - before, Index(parameter.count));
      if (from < to) body(parameter, from, to);
    }
  }
};

/// What is alike in all elements of a parameter.
struct AdamWFactors {
  float gradient, firstMoment, secondMoment, root, epsilon, kept, rate;
};

template <bool Part>
CK_INLINE void adamWStep(const ck_parameter &parameter, const AdamWFactors &factors, Index at, Index count) {
  Vector slope = 0.0f;
  if (parameter.gradient) slope = loadTile<Part>(parameter.gradient + at, count) * factors.gradient;
  Vector first = loadTile<Part>(parameter.first_moment + at, count);
  Vector second = loadTile<Part>(parameter.second_moment + at, count);
  first += (slope - first) * factors.firstMoment;
  second += (slope * slope - second) * factors.secondMoment;
  storeTile<Part>(parameter.first_moment + at, first, count);
  storeTile<Part>(parameter.second_moment + at, second, count);
  const Vector size = squareRoot(second) * factors.root + factors.epsilon;
  const Vector weight = loadTile<Part>(parameter.weight + at, count) * factors.kept;
  storeTile<Part>(parameter.weight + at, weight - first * factors.rate / size, count);
}

inline void adamWShare(void *context, int, int share) {
  const AdamWRun &run = *static_cast<const AdamWRun *>(context);
  const ck_adamw_settings &settings = *run.job.settings;
  const double step = double(settings.step);
  const double firstWeight = 1 - std::pow(settings.beta1, step), secondWeight = 1 - std::pow(settings.beta2, step);
  run.forEach(share, [&](const ck_parameter &parameter, Index at, Index end) {
    const AdamWFactors factors{
        .gradient = float(settings.gradient_scale),
        .firstMoment = float(1 - settings.beta1),
        .secondMoment = float(1 - settings.beta2),
        .root = float(1 / std::sqrt(secondWeight)),
        .epsilon = float(settings.epsilon),
        .kept = float(1 - parameter.learning_rate * parameter.weight_decay),
        .rate = float(parameter.learning_rate / firstWeight)};
    for (; at + lanes <= end; at += lanes) adamWStep<false>(parameter, factors, at, 0);
    if (at < end) adamWStep<true>(parameter, factors, at, end - at);
  });
}

/// The sum of the squares of some gradients: registers over a few lines at a time, then double.
CK_INLINE double squareSum(const float *x, Index count) {
  double total = 0;
  Index at = 0;
  while (at + lanes <= count) {
    Vector some = 0.0f, others = 0.0f;
    const Index end = std::min(at + 64 * lanes, count - count % lanes);
    for (; at + 2 * lanes <= end; at += 2 * lanes) {
      const Vector one = load(x + at), other = load(x + at + lanes);
      some += one * one;
      others += other * other;
    }
    for (; at < end; at += lanes) some += load(x + at) * load(x + at);
    total += sum(some + others);
  }
  for (; at < count; at++) total += double(x[at]) * double(x[at]);
  return total;
}

inline void gradientNormShare(void *context, int, int share) {
  const AdamWRun &run = *static_cast<const AdamWRun *>(context);
  double total = 0;
  run.forEach(share, [&](const ck_parameter &parameter, Index at, Index end) {
    if (parameter.gradient) total += squareSum(parameter.gradient + at, end - at);
  });
  run.squares[share] = total;
}

inline bool adamW(const AdamWJob &job, int threads) {
  Index total = 0;
  for (Index i = 0; i < Index(job.count); i++) total += Index(job.parameters[i].count);
  AdamWRun run{job, usefulShares((total + 15) / 16, total * 4, threads), total, nullptr};
  if (job.settings) {
    forEachShare(run.shares, adamWShare, &run);
    return true;
  }
  double *squares = reinterpret_cast<double *>(scratch(std::size_t(run.shares.count()) * 2));
  if (!squares) return false;
  run.squares = squares;
  forEachShare(run.shares, gradientNormShare, &run);
  double sumOfSquares = 0;
  for (int share = 0; share < run.shares.count(); share++) sumOfSquares += squares[share];
  *job.norm = std::sqrt(sumOfSquares);
  return true;
}
