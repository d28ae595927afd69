// The backward pass: of a connection, of the write before it, or of both. The coefficients are computed again. With S
// the rows [input gradient; next state's gradient; folded maps] of a token,
//
//     state H [n, C] times S^T        projections and the gradients of read and carry
//     [read | carry | q] times S      the state's gradient but for the norm's part, a multiple of H
//     q^T H                           the gradient of the folded maps
//
// where q is the gradient of the projections times 1 / root mean square.
namespace ckernels::cuda {

template <bool IsWhole, bool HasPrevious>
struct Backward {
  static constexpr BackwardLayout layout =
      BackwardLayout(shape, IsWhole, HasPrevious, WB_BACKWARD_STAGES, WB_SHARED_SUMS);
  /// A row of `products`, later of the table: the projections, then the gradients of the coefficients. Afterwards q replaces
  /// the projections, and read and carry replace the gradients, as bfloat16 for the tensor cores.
  static constexpr int second = shape.paddedColumns();
  static constexpr int tableSecond = shape.usesTensorCores ? roundUp(columns, 16) : second;
  static constexpr int width = shape.usesTensorCores ? tableSecond + roundUp(mixed, 16) : second + mixed;

  const BackwardArguments &arguments;
  unsigned char *const shared;
  float *const products, *const squares, *const diagonal;
  const Table table;
  const GradientSums parameters;

  WB_DEVICE explicit Backward(const BackwardArguments &arguments)
      : arguments(arguments), shared(sharedMemory()), products(reinterpret_cast<float *>(shared + layout.products)),
        squares(reinterpret_cast<float *>(shared + layout.squares)),
        diagonal(reinterpret_cast<float *>(shared + layout.diagonal)),
        table{shared + layout.products, layout.productRow * 4},
        parameters(arguments, shared + layout.tableSums, shared + layout.mapSums) {}

  WB_DEVICE void prepare() {
    if constexpr (shape.usesTensorCores) {
      clear(shared + layout.zeros, shape.row());
      if constexpr (IsWhole && shape.isDynamic) foldMaps<columns>(shared + layout.maps, arguments.connection, 0);
    }
    if constexpr (IsWhole) parameters.clear();
  }

  WB_DEVICE void fetch(unsigned char *stage, long long token) {
    auto at = [](const void *array, long long index) { return static_cast<const Element *>(array) + index; };
    copyRows<n, C>(stage + layout.nextStateGradient, shape.row(), at(arguments.nextStateGradient, token * n * C));
    if constexpr (IsWhole) {
      copyRows<m, C>(stage, shape.row(), at(arguments.inputGradient, token * m * C));
      copyRows<n, C>(stage + layout.state, shape.row(), at(arguments.state, token * n * C));
      copyRows<m, C>(stage + layout.output, shape.row(), at(arguments.output, token * m * C));
    }
    if constexpr (HasPrevious)
      copyRows<m, n>(stage + layout.savedWrite, shape.savedWriteRow(), at(arguments.previousSavedWrite, token * m * n));
  }

  /// Projections and the gradients of all coefficients.
  WB_DEVICE void multiply(const unsigned char *stage) {
    const unsigned char *state = stage + layout.state, *gradient = stage + layout.nextStateGradient;
    const unsigned char *output = stage + layout.output;
    if constexpr (shape.usesTensorCores) {
      constexpr int across = shape.columnWarps(), shares = shape.shares();
      constexpr int used = shape.isDynamic ? second : 0, count = used + roundUp(mixed, 8);
      constexpr int tiles = (count / 8 + across - 1) / across;
      const int warp = threadIndex() / 32, share = warp % shares, columnWarp = warp / shares % across;
      const int rowWarp = warp / (shares * across);
      if (rowWarp >= shape.rowWarps()) return;
      const unsigned char *zeros = shared + layout.zeros, *maps = shared + layout.maps;
      auto right = [=](int column) {
        if (column < used) return column < columns ? maps + column * shape.row() : zeros;
        return column - used < mixed ? stage + (column - used) * shape.row() : zeros;
      };
      auto sink = [this](int share, int row, int column, float value) {
        const int place = column < used ? column : column - used + second;
        if (column < used ? column < columns : column - used < mixed)
          products[(share * n + row) * layout.productRow + place] = value;
      };
      if (shape.isDynamic && columnWarp == 0)
        tensor::innerProducts<tiles, true>(state, rowWarp, share, 0, right, squares, sink);
      else
        tensor::innerProducts<tiles, false>(state, rowWarp, share, columnWarp * tiles, right, squares, sink);
      // The last warp of a row has the fewest columns so far.
      if (columnWarp == across - 1)
        tensor::innerProducts<(m + 7) / 8, false>(
            gradient, rowWarp, share, 0, [=](int column) { return column < m ? output + column * shape.row() : zeros; },
            squares,
            [this](int share, int row, int column, float value) {
              if (column < m) products[(share * n + row) * layout.productRow + second + mixed + column] = value;
            });
    } else {
      const Weights &weights = arguments.connection;
      const Fold fold{weights.gain};
      if constexpr (shape.isDynamic)
        plain::innerProducts<columns, true, true>(
            state, [&](int column) { return mapRow(weights, column); }, fold, products, layout.productRow, squares);
      plain::innerProducts<mixed, false, false>(
          state, [=](int column) { return rowAt(stage, column); }, fold, products + second, layout.productRow, squares);
      plain::innerProducts<m, false, false>(
          gradient, [=](int column) { return rowAt(output, column); }, fold, products + second + mixed,
          layout.productRow, squares);
    }
  }

  /// Converts the products of a slot to its row of the table, in place, and adds up the gradients of the coefficients.
  WB_DEVICE void finishSlot(int slot) {
    constexpr int each = (columns + 31) / 32;
    const Weights &weights = arguments.connection;
    const int lane = threadIndex() % 32;
    float inverse = 0.0f, along = 0.0f, q[each] = {}, values[each] = {};
    if constexpr (shape.isDynamic) inverse = inverseRootMeanSquare(squares, slot, weights.epsilon);
#pragma unroll
    for (int i = 0; i < each; i++) {
      const int column = lane + 32 * i, at = slot * columns + column;
      if (column >= columns) continue;
      const float gradient = innerProduct(products, layout.productRow, slot, second + column);
      parameters.coefficients[at] += gradient;
      values[i] = tableValue(weights.staticReadCarry, weights.staticWrite, slot, column);
      if constexpr (shape.isDynamic) {
        const float dot = innerProduct(products, layout.productRow, slot, column);
        const float scale = tableValue(weights.readCarryScale, weights.writeScale, slot, column);
        const float t = boundedTanh(inverse * dot);
        parameters.coefficients[shape.tableCount() + at] += gradient * t;
        values[i] += scale * t;
        q[i] = gradient * scale * (1.0f - t * t) * inverse;
        along += q[i] * dot;
      }
    }
    waitForWarp();
#pragma unroll
    for (int i = 0; i < each; i++) {
      const int column = lane + 32 * i;
      if (column < tableSecond) table.set(slot, column, column < columns ? q[i] : 0.0f);
      if (column < width - tableSecond) table.set(slot, tableSecond + column, column < mixed ? values[i] : 0.0f);
    }
    if constexpr (shape.isDynamic) {
      along = sumOfLanes(along);
      if (lane == 0) diagonal[slot] = -along * inverse * inverse * (1.0f / float(C));
    }
  }

  /// Stores the state's gradient in the GPU's memory, and with a writer in shared memory too: for the tensor cores in place
  /// of the state, each warp in its own channels.
  WB_DEVICE void finishState(unsigned char *stage, long long token, MapSums &sums) {
    unsigned char *state = stage + layout.state;
    Element *result = static_cast<Element *>(arguments.stateGradient) + token * n * C;
    parameters.addMaps(sums, table, state);
    if constexpr (shape.usesTensorCores) {
      const unsigned char *zeros = shared + layout.zeros, *maps = shared + layout.maps;
      constexpr int skipped = shape.isDynamic ? 0 : tableSecond;
      auto right = [=](int r) {
        r += skipped;
        if (r < tableSecond) return r < columns ? maps + r * shape.row() : zeros;
        const unsigned char *gradients = stage;
        return r - tableSecond < mixed ? gradients + (r - tableSecond) * shape.row() : zeros;
      };
      // The sums of the maps' gradients stay in registers: where they are many, fewer are left for this.
      constexpr int tiles = shape.keepsMapsInRegisters() && shape.mapRegisters() > 80 ? 8 : 16;
      tensor::combine<n, (width - skipped) / 16, tiles>(
          table.memory + skipped * 2, table.row, right, [=](int r, int c, float first, float second) {
            unsigned &pair = *reinterpret_cast<unsigned *>(state + r * shape.row() + c * 2);
            if constexpr (shape.isDynamic) {
              first += diagonal[r] * floatFromBits(pair << 16);
              second += diagonal[r] * floatFromBits(pair & 0xffff0000u);
            }
            pair = roundedPair(first, second);
          });
      waitForBlock();
      storeRows<n>(result, state);
    } else {
      plain::forEachTile<n>([=](int row, int c) {
        float sums[4][vector] = {};
        if constexpr (shape.isDynamic) addNorm(sums, state, row, c);
        plain::accumulate<n, mixed>(
            sums, row, c, [=](int r, int i) { return table(r, tableSecond + i); },
            [=](int i) { return rowAt(stage, i); });
        plain::emitTile<n>(sums, row, c, [=](int r, int c, const float(&values)[vector]) {
          storeVector(result + r * C + c, values);
          if constexpr (HasPrevious) storeVector(rowAt(shared + layout.stateGradient, r) + c, values);
        });
      });
    }
  }

  /// The part of the state's gradient through projections and norm.
  WB_DEVICE void addNorm(float (&sums)[4][vector], const unsigned char *state, int row, int c) const {
    const Weights &weights = arguments.connection;
    plain::accumulate<n, columns>(sums, row, c, table, [&](int i) { return mapRow(weights, i); });
    float fold[vector];
    Fold{weights.gain}(c, fold);
#pragma unroll
    for (int a = 0; a < smaller(n, 4); a++) {
      const int r = smaller(row + a, n - 1);
      float h[vector];
      loadVector(rowAt(state, r) + c, h);
#pragma unroll
      for (int v = 0; v < vector; v++) sums[a][v] = sums[a][v] * fold[v] + diagonal[r] * h[v];
    }
  }

  /// The gradient of the previous sublayer's output from that of the state after it. `spare`: rows for it.
  WB_DEVICE void finishPrevious(
      const unsigned char *stage, const unsigned char *gradient, unsigned char *spare, long long token) {
    Element *result = static_cast<Element *>(arguments.previousOutputGradient) + token * m * C;
    auto savedWrite = [=](int r, int i) {
      return toFloat(reinterpret_cast<const Element *>(stage + layout.savedWrite + r * shape.savedWriteRow())[i]);
    };
    combineRows<m, n>(
        stage + layout.savedWrite, shape.savedWriteRow(), savedWrite, gradient, shared + layout.zeros, result,
        shape.usesTensorCores ? spare : nullptr);
  }

  WB_DEVICE void runToken(unsigned char *stage, long long token, MapSums &sums) {
    const unsigned char *gradient = stage + layout.nextStateGradient;
    if constexpr (IsWhole) {
      multiply(stage);
      waitForBlock();
      for (int slot = threadIndex() / 32; slot < n; slot += warps) finishSlot(slot);
      waitForBlock();
      finishState(stage, token, sums);
      if constexpr (HasPrevious) waitForBlock();
      gradient = shape.usesTensorCores ? stage + layout.state : shared + layout.stateGradient;
    }
    // The first rows of the stage, the input's gradient, are not needed any longer.
    if constexpr (HasPrevious) finishPrevious(stage, gradient, stage, token);
  }

  WB_DEVICE void run() {
    prepare();
    MapSums sums = {};
    auto fetchToken = [this](unsigned char *stage, long long token) { fetch(stage, token); };
    forEachToken<WB_BACKWARD_STAGES>(
        shared, layout.stage, arguments.tokens, fetchToken,
        [&](unsigned char *stage, long long token) { runToken(stage, token, sums); });
    if constexpr (IsWhole) parameters.storeSums(sums);
  }
};

}  // namespace ckernels::cuda
