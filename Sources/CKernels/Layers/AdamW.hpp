// AdamW over many parameters as if they were one long array, and the norm of their gradients.
#pragma once

#include "SIMD/Loops.hpp"

namespace ckernels::CK_CODE {

/// All parameters as one array, split into shares of whole cache lines.
struct ParameterShares {
  const ck_parameter *parameters;
  Index count, total = 0;
  Shares shares;

  ParameterShares(const ck_parameter *parameters, Index count, int threads) : parameters(parameters), count(count) {
    for (Index i = 0; i < count; i++) total += Index(parameters[i].count);
    shares = usefulShares((total + 15) / 16, total * 4, threads);
  }

  Index first(int share) const { return std::min(shares.first(share) * 16, total); }

  /// Calls `body(parameter, first, last)` for each parameter with elements in a share, and the range of these elements.
  template <typename Body>
  void forEach(int share, const Body &body) const {
    const Index begin = first(share), end = first(share + 1);
    Index before = 0;
    for (Index i = 0; i < count; before += Index(parameters[i++].count)) {
      const ck_parameter &parameter = parameters[i];
      const Index from = std::max(begin - before, Index(0)), to = std::min(end - before, Index(parameter.count));
      if (from < to) body(parameter, from, to);
    }
  }
};

/// The factors for all elements of a parameter.
struct AdamWFactors {
  float gradient, firstMoment, secondMoment, root, epsilon, decay, rate;
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
  const Vector weight = loadTile<Part>(parameter.weight + at, count) * factors.decay;
  storeTile<Part>(parameter.weight + at, weight - first * factors.rate / size, count);
}

inline void adamWShare(const ck_adamw_args &args, const ParameterShares &parameters, int share) {
  const double step = double(args.step);
  const double firstWeight = 1 - std::pow(args.beta1, step), secondWeight = 1 - std::pow(args.beta2, step);
  parameters.forEach(share, [&](const ck_parameter &parameter, Index first, Index last) {
    const AdamWFactors factors{
        .gradient = float(args.gradient_scale),
        .firstMoment = float(1 - args.beta1),
        .secondMoment = float(1 - args.beta2),
        .root = float(1 / std::sqrt(secondWeight)),
        .epsilon = float(args.epsilon),
        .decay = float(1 - parameter.learning_rate * parameter.weight_decay),
        .rate = float(parameter.learning_rate / firstWeight)};
    forEachRegister(
        first, last, [&](auto isPart, Index at, Index count) { adamWStep<isPart>(parameter, factors, at, count); });
  });
}

/// The sum of squares. Sums of 64 registers in float are added up in double.
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

inline bool adamW(const ck_adamw_args &args, int threads) {
  const ParameterShares parameters(args.parameters, Index(args.count), threads);
  forEachShare(parameters.shares, [&](int, int share) { adamWShare(args, parameters, share); });
  return true;
}

inline bool gradientNorm(const ck_gradient_norm_args &args, int threads) {
  const ParameterShares parameters(args.parameters, Index(args.count), threads);
  const int count = parameters.shares.count();
  double *squares = reinterpret_cast<double *>(scratch(std::size_t(count) * 2));  // of each share
  if (!squares) return false;
  forEachShare(parameters.shares, [&](int, int share) {
    double total = 0;
    parameters.forEach(share, [&](const ck_parameter &parameter, Index at, Index end) {
      if (parameter.gradient) total += squareSum(parameter.gradient + at, end - at);
    });
    squares[share] = total;
  });
  *args.norm = std::sqrt(std::accumulate(squares, squares + count, 0.0));
  return true;
}

}  // namespace ckernels::CK_CODE
