// The gradients of a connection's parameters: each share has its own sums, which are added up in the order of the shares.
#pragma once

#include "HyperConnection/PackedConnection.hpp"

namespace ckernels::CK_CODE {

/// The sums of one share, consecutive in memory so that they are cleared and added up as one array.
struct Sums {
  float *maps;   ///< [columns, C]: of the folded maps (dynamic maps times gain / sqrt(C))
  float *fixed;  ///< [columns, period]: of the coefficients
  float *scale;  ///< [columns, period]: of the scales

  Sums(const PackedConnection &packed, BumpAllocator &allocator) {
    const Shape &shape = packed.shape;
    fixed = allocator.take(packed.parameterTable());
    maps = packed.isDynamic ? allocator.take(shape.columns * shape.C) : nullptr;
    scale = packed.isDynamic ? allocator.take(packed.parameterTable()) : nullptr;
  }

  /// Adds the sums to the gradients of the parameters as they are stored.
  void addTo(
      const PackedConnection &packed, const ck_connection &connection, const ck_connection_gradients &gradients) const {
    addTable(packed, fixed, gradients.static_read_carry, gradients.static_write);
    if (!packed.isDynamic) return;
    addTable(packed, scale, gradients.read_carry_scale, gradients.write_scale);
    const Index C = packed.shape.C, mixed = packed.shape.m + packed.shape.n;
    const float factor = 1.0f / std::sqrt(float(C));
    for (Index k = 0; k < packed.shape.columns; k++) {
      const bool isReadCarry = k < mixed;
      const Index at = (isReadCarry ? k : k - mixed) * C;
      const float *map = (isReadCarry ? connection.dynamic_read_carry : connection.dynamic_write) + at;
      float *mapGradient = isReadCarry ? gradients.dynamic_read_carry : gradients.dynamic_write;
      const float *sum = maps + k * C;
      if (mapGradient)
        for (Index c = 0; c < C; c++) mapGradient[at + c] += sum[c] * connection.gain[c] * factor;
      if (gradients.gain)
        for (Index c = 0; c < C; c++) gradients.gain[c] += sum[c] * map[c] * factor;
    }
  }

 private:
  static void addTable(const PackedConnection &packed, const float *table, float *readCarry, float *write) {
    const Shape &shape = packed.shape;
    const Index mixed = shape.m + shape.n, m = shape.m, n = shape.n;
    for (Index k = 0; k < shape.columns; k++) {
      float *target = k < mixed ? readCarry : write;
      if (!target) continue;
      for (Index j = 0; j < n; j++) {
        float total = 0.0f;
        for (Index r = j; r < packed.filled(); r += n) total += table[k * packed.period + r];
        target[k < mixed ? j * mixed + k : j * m + k - mixed] += total;
      }
    }
  }
};

/// The memory of all shares' sums.
struct SharedSums {
  float *first;
  std::size_t each;
  int shares;

  float *of(int share) const { return first + each * std::size_t(share); }

  /// Adds numbers [begin, end) of all shares to those of the first one, in the order of the shares.
  void addToFirst(Index begin, Index end) const {
    for (int share = 1; share < shares; share++)
      for (Index i = begin; i < end; i++) first[i] += of(share)[i];
  }
};

}  // namespace ckernels::CK_CODE
