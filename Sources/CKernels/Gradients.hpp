// The gradients of a connection's parameters: one set of sums a share, added up in the order of the shares.
#pragma once

struct Sums {
  float *maps;   ///< [columns, C]: of the folded maps (dynamic maps times gain / sqrt(C))
  float *fixed;  ///< [columns, period]: of the coefficients
  float *scale;  ///< [columns, period]: of the scales

  Sums(const Plan &plan, Cutter &cutter) {
    const Shape &shape = plan.shape;
    fixed = cutter.take(plan.table());
    maps = plan.isDynamic ? cutter.take(shape.columns * shape.C) : nullptr;
    scale = plan.isDynamic ? cutter.take(plan.table()) : nullptr;
  }

  void clear(const Plan &plan) {
    const Shape &shape = plan.shape;
    std::fill_n(fixed, plan.table(), 0.0f);
    if (!plan.isDynamic) return;
    std::fill_n(maps, shape.columns * shape.C, 0.0f);
    std::fill_n(scale, plan.table(), 0.0f);
  }

  void add(const Plan &plan, const Sums &other) {
    const Shape &shape = plan.shape;
    addTo(fixed, other.fixed, plan.table());
    if (!plan.isDynamic) return;
    addTo(maps, other.maps, shape.columns * shape.C);
    addTo(scale, other.scale, plan.table());
  }

  /// Adds the sums to the gradients of the parameters as they are stored.
  void deliver(const Plan &plan, const ck_connection &connection, const ck_connection_gradients &gradients) const {
    gather(plan, fixed, gradients.static_alpha, gradients.static_beta);
    if (!plan.isDynamic) return;
    gather(plan, scale, gradients.alpha_scale, gradients.beta_scale);
    const Index C = plan.shape.C, mixed = plan.shape.m + plan.shape.n;
    const float factor = 1.0f / std::sqrt(float(C));
    for (Index k = 0; k < plan.shape.columns; k++) {
      const bool isAlpha = k < mixed;
      const Index at = (isAlpha ? k : k - mixed) * C;
      const float *map = (isAlpha ? connection.dynamic_alpha : connection.dynamic_beta) + at;
      float *mapGradient = isAlpha ? gradients.dynamic_alpha : gradients.dynamic_beta;
      const float *sum = maps + k * C;
      if (mapGradient)
        for (Index c = 0; c < C; c++) mapGradient[at + c] += sum[c] * connection.gain[c] * factor;
      if (gradients.gain)
        for (Index c = 0; c < C; c++) gradients.gain[c] += sum[c] * map[c] * factor;
    }
  }

 private:
  static void addTo(float *total, const float *part, Index count) {
    for (Index i = 0; i < count; i++) total[i] += part[i];
  }

  static void gather(const Plan &plan, const float *table, float *alpha, float *beta) {
    const Shape &shape = plan.shape;
    const Index mixed = shape.m + shape.n, m = shape.m, n = shape.n;
    for (Index k = 0; k < shape.columns; k++) {
      float *target = k < mixed ? alpha : beta;
      if (!target) continue;
      for (Index j = 0; j < n; j++) {
        float total = 0.0f;
        for (Index r = j; r < plan.filled(); r += n) total += table[k * plan.period + r];
        target[k < mixed ? j * mixed + k : j * m + k - mixed] += total;
      }
    }
  }
};
