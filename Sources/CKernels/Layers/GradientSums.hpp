// The gradients of a layer's weights, which every row adds to.
#pragma once

#include "SIMD/Loops.hpp"

namespace ckernels::CK_CODE {

/// Rows whose gradients are summed apart before they are added to the share's total: it keeps long sums accurate.
constexpr Index rowsTogether = 64;

/// A backward pass over rows. For each share it has two arrays of `stride` floats: the total of the share's rows, and the
/// sum of the latest `rowsTogether`.
template <class Args>
struct GradientRun {
  const Args &args;
  Shares shares;  ///< of the rows
  Index stride;
  float *memory;

  /// Runs on `rows` rows with `work` multiplications and `width` sums. Without scratch memory `memory` is null.
  GradientRun(const Args &args, Index rows, Index work, Index width, int threads)
      : args(args), shares(usefulShares(rows, work, threads)), stride(padded(width)),
        memory(scratch(std::size_t(2 * stride * shares.count()))) {}

  static constexpr Index padded(Index width) { return (width + 15) / 16 * 16; }

  float *total(int share) const { return memory + 2 * stride * share; }

  /// Calls `addRow(args, row, sums)` for the rows of all shares; it adds a row's gradients to the sums.
  template <auto addRow>
  void forEachRow() const {
    forEachShare(shares, [this](int, int share) { addShare<addRow>(share); });
  }

  /// Adds the first `width` sums of all shares, from `first` on, to a gradient in the order of the shares.
  void addTo(float *gradient, Index width, Index first = 0) const {
    for (int share = 0; share < shares.count(); share++)
      for (Index c = 0; c < width; c++) gradient[c] += total(share)[first + c];
  }

 private:
  template <auto addRow>
  void addShare(int share) const {
    float *sums = total(share), *latest = sums + stride;
    std::fill_n(sums, stride, 0.0f);
    const Index last = shares.first(share + 1);
    for (Index row = shares.first(share); row < last;) {
      std::fill_n(latest, stride, 0.0f);
      const Index end = std::min(row + rowsTogether, last);
      for (; row < end; row++) addRow(args, row, latest);
      for (Index c = 0; c < stride; c++) sums[c] += latest[c];
    }
  }
};

}  // namespace ckernels::CK_CODE
