// Memory for the gradients of a layer's weights, which every row adds to.
#pragma once

#include "SIMD/Vector.hpp"

namespace ckernels {
namespace CK_CODE {

/// Rows whose gradients are summed apart before they are added to the share's total: it keeps long sums accurate.
constexpr Index rowsTogether = 64;

/// For each share of the rows two runs of `stride` floats: the total of its rows, and the sum of the latest `rowsTogether`.
struct GradientSums {
  float *memory = nullptr;
  Index stride = 0;

  explicit GradientSums(Index width) : stride((width + 15) / 16 * 16) {}

  /// False if there is no memory for the sums.
  bool allocate(const Shares &shares) {
    memory = scratch(std::size_t(2 * stride * shares.count()));
    return memory != nullptr;
  }

  float *total(int share) const { return memory + 2 * stride * share; }
  float *latest(int share) const { return total(share) + stride; }

  /// Adds the first `width` sums of all shares, from `first` on, to a gradient in the order of the shares.
  void addTo(float *gradient, const Shares &shares, Index width, Index first = 0) const {
    for (int share = 0; share < shares.count(); share++)
      for (Index c = 0; c < width; c++) gradient[c] += total(share)[first + c];
  }
};

}  // namespace CK_CODE
}  // namespace ckernels
