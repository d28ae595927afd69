// How a connection is laid out for the kernels: tokens are taken in blocks, and the coefficients of a block stand in
// columns, each a run of one value for every (token, slot) of the block, so that registers are full whatever n is.
#pragma once

struct Shape {
  Index m, n, C;
  Index columns;  ///< 2m + n: read, carry, write
  Index tokens;   ///< in a block
  Index rows;     ///< tokens * n
  Index stride;   ///< rows, rounded up to whole registers
  Index panel;    ///< channels turned at a time, so that what is turned stays in the nearest cache

  explicit Shape(const ck_connection &connection)
      : m(connection.fraction_rate), n(connection.slots), C(connection.slot_width), columns(2 * m + n), tokens(1) {
    // The block, of at most `most` rows, that wastes the smallest share of its registers; the larger of equals. More
    // rows make longer products, as long as the nearest cache holds a block of the state.
    const Index most = std::clamp<Index>(4096 / C, 32, 64);
    for (Index t = 2; t * n <= most; t++)
      if (t * n * padded(tokens * n) >= tokens * n * padded(t * n)) tokens = t;
    rows = tokens * n;
    stride = padded(rows);
    panel = std::max<Index>(CK_PANEL_FLOATS / stride / 16 * 16, 16);
    panel = std::min(panel, C);
  }

  /// Whether inner products along the channels cost less than products with a register of slots: they do where n
  /// leaves most of that register empty. Each costs as much as about 52 channels on top, for the sum at its end.
  bool hasFewSlots() const { return n * (C + 52) < padded(n) * C; }

  /// Whether projections onto `count` columns are inner products too: where columns are few, the sums at their ends cost
  /// less than turning the state does.
  bool projectsAlongChannels(Index count) const { return count * 12 < C; }

  static Index padded(Index count) { return (count + lanes - 1) / lanes * lanes; }
  Index table() const { return columns * stride; }

  /// The projections of a block and, below them, the inverse root mean square of each slot: [columns + 1, stride].
  Index projections() const { return table() + stride; }

  /// Whether projections are kept for the backward pass: not where they would be several times the state.
  bool keepsProjections() const { return columns < 3 * C; }
};

inline std::int64_t keptProjections(const ck_connection &connection, std::int64_t tokens) {
  const Shape shape(connection);
  if (!connection.dynamic_alpha || !shape.keepsProjections()) return 0;
  // The first of them are left out as far as it takes to begin with a whole register.
  return (tokens + shape.tokens - 1) / shape.tokens * shape.projections() + lanes - 1;
}

/// A connection's parameters as the kernels want them.
struct Plan {
  Shape shape;
  bool isDynamic;
  float epsilon;
  Index period;    ///< after how many entries what every token shares comes again, in whole registers
  float *weights;  ///< [columns, C]: dynamic maps times gain / sqrt(C)
  float *fixed;    ///< [columns, period]: static coefficients
  float *scale;    ///< [columns, period]: scales of the dynamic part
  float *kept;     ///< the projections of all blocks, aligned to registers, or null

  Plan(const ck_connection &connection, Cutter &cutter)
      : shape(connection), isDynamic(connection.dynamic_alpha != nullptr), epsilon(connection.epsilon) {
    // Without a dynamic part the static coefficients are those of a block, as they stand.
    const Index least = std::lcm(shape.n, Index(lanes));
    period = isDynamic && least < shape.stride ? least : shape.stride;
    fixed = cutter.take(table());
    weights = isDynamic ? cutter.take(shape.columns * shape.C) : nullptr;
    scale = isDynamic ? cutter.take(table()) : nullptr;
    kept = isDynamic && shape.keepsProjections() ? aligned(connection.projections) : nullptr;
  }

  Index table() const { return shape.columns * period; }

  /// Where the projections of a block are kept; null where they are not.
  float *keptOf(Index block) const { return kept ? kept + block * shape.projections() : nullptr; }

  /// The entries of a table's column that belong to slots.
  Index filled() const { return std::min(period, shape.rows); }

  void fill(const ck_connection &connection) {
    spread(connection.static_alpha, connection.static_beta, fixed);
    if (!isDynamic) return;
    spread(connection.alpha_scale, connection.beta_scale, scale);
    const Index C = shape.C, mixed = shape.m + shape.n;
    const float factor = 1.0f / std::sqrt(float(C));
    for (Index k = 0; k < shape.columns; k++) {
      const float *map = k < mixed ? connection.dynamic_alpha + k * C : connection.dynamic_beta + (k - mixed) * C;
      for (Index c = 0; c < C; c++) weights[k * C + c] = map[c] * connection.gain[c] * factor;
    }
  }

 private:
  static float *aligned(float *p) {
    const std::uintptr_t mask = sizeof(Vector) - 1;
    return reinterpret_cast<float *>((reinterpret_cast<std::uintptr_t>(p) + mask) & ~mask);
  }

  void spread(const float *alpha, const float *beta, float *table) const {
    const Index mixed = shape.m + shape.n, m = shape.m, n = shape.n;
    for (Index k = 0; k < shape.columns; k++) {
      float *column = table + k * period;
      for (Index j = 0; j < n; j++) column[j] = k < mixed ? alpha[j * mixed + k] : beta[j * m + k - mixed];
      for (Index r = n; r < filled(); r++) column[r] = column[r - n];
      for (Index r = filled(); r < period; r++) column[r] = 0.0f;
    }
  }
};
