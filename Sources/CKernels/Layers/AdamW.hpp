// AdamW over many parameters as if they were one long array, and the norm of their gradients.
#pragma once

#include "SIMD/Vector.hpp"

namespace ckernels {
namespace CK_CODE {

/// All parameters in a row, split into shares of cache lines.
struct ParameterShares {
  const ck_parameter *parameters;
  Index count, total = 0;
  Shares shares;

  ParameterShares(const ck_parameter *parameters, Index count, int threads) : parameters(parameters), count(count) {
    for (Index i = 0; i < count; i++) total += Index(parameters[i].count);
    shares = usefulShares((total + 15) / 16, total * 4, threads);
  }

  Index first(int share) const { return std::min(shares.first(share) * 16, total); }

  /// Calls `body` with every parameter of a share and the range of its elements that belongs to the share.
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

struct AdamWRun {
  const ck_adamw_args &args;
  ParameterShares parameters;
};

/// The factors that all elements of a parameter share.
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

inline void adamWShare(void *context, int, int share) {
  const AdamWRun &run = *static_cast<const AdamWRun *>(context);
  const ck_adamw_args &args = run.args;
  const double step = double(args.step);
  const double firstWeight = 1 - std::pow(args.beta1, step), secondWeight = 1 - std::pow(args.beta2, step);
  run.parameters.forEach(share, [&](const ck_parameter &parameter, Index at, Index end) {
    const AdamWFactors factors{
        .gradient = float(args.gradient_scale),
        .firstMoment = float(1 - args.beta1),
        .secondMoment = float(1 - args.beta2),
        .root = float(1 / std::sqrt(secondWeight)),
        .epsilon = float(args.epsilon),
        .decay = float(1 - parameter.learning_rate * parameter.weight_decay),
        .rate = float(parameter.learning_rate / firstWeight)};
    for (; at + lanes <= end; at += lanes) adamWStep<false>(parameter, factors, at, 0);
    if (at < end) adamWStep<true>(parameter, factors, at, end - at);
  });
}

/// The sum of squares: in registers over 64 of them at a time, then in double.
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

struct GradientNormRun {
  ParameterShares parameters;
  double *squares;  ///< of each share
};

inline void gradientNormShare(void *context, int, int share) {
  const GradientNormRun &run = *static_cast<const GradientNormRun *>(context);
  double total = 0;
  run.parameters.forEach(share, [&](const ck_parameter &parameter, Index at, Index end) {
    if (parameter.gradient) total += squareSum(parameter.gradient + at, end - at);
  });
  run.squares[share] = total;
}

inline bool adamW(const ck_adamw_args &args, int threads) {
  AdamWRun run{args, ParameterShares(args.parameters, Index(args.count), threads)};
  forEachShare(run.parameters.shares, adamWShare, &run);
  return true;
}

inline bool gradientNorm(const ck_gradient_norm_args &args, int threads) {
  GradientNormRun run{ParameterShares(args.parameters, Index(args.count), threads), nullptr};
  const Shares &shares = run.parameters.shares;
  run.squares = reinterpret_cast<double *>(scratch(std::size_t(shares.count()) * 2));
  if (!run.squares) return false;
  forEachShare(shares, gradientNormShare, &run);
  double sumOfSquares = 0;
  for (int share = 0; share < shares.count(); share++) sumOfSquares += run.squares[share];
  *args.norm = std::sqrt(sumOfSquares);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
