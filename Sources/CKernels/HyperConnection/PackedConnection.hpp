// The layout of a connection in the kernels: tokens are processed in blocks, and a block's coefficients are columns with one
// value for every (token, slot) of the block, so that registers are full whatever n is.
#pragma once

#include "SIMD/Loops.hpp"

namespace ckernels::CK_CODE {

/// Floats of a panel of transposed channels, which must stay in the nearest cache.
constexpr Index panelFloats = 6144;

struct Shape {
  Index m, n, C;
  Index columns;  ///< 2m + n: read, carry, write
  Index tokens;   ///< in a block
  Index rows;     ///< tokens * n
  Index stride;   ///< rows, rounded up to whole registers
  Index panel;    ///< channels transposed at a time

  explicit Shape(const ck_connection &connection)
      : m(connection.fraction_rate), n(connection.slots), C(connection.slot_width), columns(2 * m + n), tokens(1) {
    // The block, of at most `maximum` rows, that wastes the smallest fraction of its registers; the larger of equals.
    // More rows make longer products, as long as the nearest cache holds a block of the state.
    const Index maximum = std::clamp<Index>(4096 / C, 32, 64);
    for (Index t = 2; t * n <= maximum; t++)
      if (t * n * padded(tokens * n) >= tokens * n * padded(t * n)) tokens = t;
    rows = tokens * n;
    stride = padded(rows);
    panel = std::max<Index>(panelFloats / stride / 16 * 16, 16);
    panel = std::min(panel, C);
  }

  /// Whether inner products along the channels cost less than products with a register of slots: they do where n leaves
  /// most of that register empty. The sum at the end of each costs as much as about 52 channels.
  bool hasFewSlots() const { return n * (C + 52) < padded(n) * C; }

  /// Whether projections onto `count` columns are inner products too: with few columns, the sums at their ends cost less
  /// than transposing the state.
  bool projectsAlongChannels(Index count) const { return count * 12 < C; }

  static Index padded(Index count) { return (count + lanes - 1) / lanes * lanes; }
  Index blockTable() const { return columns * stride; }

  /// The projections of a block, followed by the inverse root mean square of each slot: [columns + 1, stride].
  Index projections() const { return blockTable() + stride; }

  /// Whether projections are saved for the backward pass: not where they would be several times the state.
  bool savesProjections() const { return columns < 3 * C; }
};

inline std::int64_t projectionCount(const ck_connection &connection, std::int64_t tokens) {
  const Shape shape(connection);
  if (!connection.dynamic_read_carry || !shape.savesProjections()) return 0;
  // Up to a register less one is skipped to align the first block.
  return (tokens + shape.tokens - 1) / shape.tokens * shape.projections() + lanes - 1;
}

/// A connection's parameters in the layout of the kernels.
struct PackedConnection {
  Shape shape;
  bool isDynamic;
  float epsilon;
  Index period;    ///< entries after which values that all tokens share repeat: whole registers
  float *weights;  ///< [columns, C]: dynamic maps times gain / sqrt(C)
  float *fixed;    ///< [columns, period]: static coefficients
  float *scale;    ///< [columns, period]: scales of the dynamic part
  float *saved;    ///< the projections of all blocks, aligned to registers, or null

  PackedConnection(const ck_connection &connection, BumpAllocator &allocator)
      : shape(connection), isDynamic(connection.dynamic_read_carry != nullptr), epsilon(connection.epsilon) {
    // Without a dynamic part the table of static coefficients is that of a block.
    const Index common = std::lcm(shape.n, Index(lanes));
    period = isDynamic && common < shape.stride ? common : shape.stride;
    fixed = allocator.take(parameterTable());
    weights = isDynamic ? allocator.take(shape.columns * shape.C) : nullptr;
    scale = isDynamic ? allocator.take(parameterTable()) : nullptr;
    saved = isDynamic && shape.savesProjections() ? aligned(connection.projections) : nullptr;
  }

  Index parameterTable() const { return shape.columns * period; }

  /// The saved projections of a block; null where they are not saved.
  float *projectionsOf(Index block) const { return saved ? saved + block * shape.projections() : nullptr; }

  /// The entries of a table's column that belong to slots.
  Index filled() const { return std::min(period, shape.rows); }

  void fill(const ck_connection &connection) {
    repeat(connection.static_read_carry, connection.static_write, fixed);
    if (!isDynamic) return;
    repeat(connection.read_carry_scale, connection.write_scale, scale);
    const Index C = shape.C, mixed = shape.m + shape.n;
    const float factor = 1.0f / std::sqrt(float(C));
    for (Index k = 0; k < shape.columns; k++) {
      const float *map = k < mixed ? connection.dynamic_read_carry + k * C : connection.dynamic_write + (k - mixed) * C;
      for (Index c = 0; c < C; c++) weights[k * C + c] = map[c] * connection.gain[c] * factor;
    }
  }

 private:
  static float *aligned(float *p) {
    const std::uintptr_t mask = sizeof(Vector) - 1;
    return reinterpret_cast<float *>((reinterpret_cast<std::uintptr_t>(p) + mask) & ~mask);
  }

  void repeat(const float *readCarry, const float *write, float *table) const {
    const Index mixed = shape.m + shape.n, m = shape.m, n = shape.n;
    for (Index k = 0; k < shape.columns; k++) {
      float *column = table + k * period;
      for (Index j = 0; j < n; j++) column[j] = k < mixed ? readCarry[j * mixed + k] : write[j * m + k - mixed];
      for (Index r = n; r < filled(); r++) column[r] = column[r - n];
      for (Index r = filled(); r < period; r++) column[r] = 0.0f;
    }
  }
};

}  // namespace ckernels::CK_CODE
