// The forward pass: a read, a write, or a write and then the read of the next connection. A block of threads processes one
// token at a time while the next one is copied to shared memory.
namespace ckernels::cuda {

template <bool Writes, bool Reads>
struct Forward {
  static constexpr ForwardLayout layout = ForwardLayout(shape, Writes, Reads, WB_FORWARD_STAGES);
  const ForwardArguments &arguments;
  unsigned char *const shared;
  float *const products, *const squares;
  const Table mix, read;

  WB_DEVICE explicit Forward(const ForwardArguments &arguments)
      : arguments(arguments), shared(sharedMemory()), products(reinterpret_cast<float *>(shared + layout.products)),
        squares(reinterpret_cast<float *>(shared + layout.squares)), mix{shared + layout.mix, shape.tableRow(mixed)},
        read{shared + layout.read, shape.tableRow(n)} {}

  /// Prepares what all tokens share: maps, and the padding of tables.
  WB_DEVICE void prepare() {
    clear(shared + layout.mix, layout.nextState - layout.mix);
    if constexpr (shape.usesTensorCores) {
      clear(shared + layout.zeros, shape.row());
      if constexpr (shape.isDynamic && Writes) foldMaps<mixed>(shared + layout.writerMaps, arguments.writer, m);
      if constexpr (shape.isDynamic && Reads) foldMaps<m>(shared + layout.readerMaps, arguments.reader, 0);
    }
  }

  WB_DEVICE void fetch(unsigned char *stage, long long token) {
    copyRows<n, C>(stage, shape.row(), static_cast<const Element *>(arguments.state) + token * n * C);
    if constexpr (Writes)
      copyRows<m, C>(
          stage + n * shape.row(), shape.row(), static_cast<const Element *>(arguments.output) + token * m * C);
  }

  /// The projections of the n rows of `state` on `Count` maps from `First` on.
  template <int First, int Count>
  WB_DEVICE void project(const Weights &weights, const unsigned char *state, const unsigned char *maps) {
    if constexpr (!shape.isDynamic) return;
    if constexpr (shape.usesTensorCores) {
      constexpr int across = shape.columnWarps(), shares = shape.shares();
      constexpr int tiles = ((Count + 7) / 8 + across - 1) / across;
      const int warp = threadIndex() / 32, share = warp % shares, columnWarp = warp / shares % across;
      const int rowWarp = warp / (shares * across);
      if (rowWarp >= shape.rowWarps()) return;
      const unsigned char *zeros = shared + layout.zeros;
      auto right = [=](int column) { return column < Count ? maps + column * shape.row() : zeros; };
      auto sink = [this](int share, int row, int column, float value) {
        if (column < Count) products[(share * n + row) * layout.productRow + column] = value;
      };
      if (columnWarp == 0)
        tensor::innerProducts<tiles, true>(state, rowWarp, share, 0, right, squares, sink);
      else
        tensor::innerProducts<tiles, false>(state, rowWarp, share, columnWarp * tiles, right, squares, sink);
    } else {
      plain::innerProducts<Count, true, true>(
          state, [&](int column) { return mapRow(weights, First + column); }, Fold{weights.gain}, products,
          layout.productRow, squares);
    }
  }

  WB_DEVICE void write(unsigned char *stage, long long token) {
    project<m, mixed>(arguments.writer, stage, shared + layout.writerMaps);
    waitForBlock();
    // The write and carry coefficients, one row for every slot that is written.
    forEachCoefficient<m, columns>(
        arguments.writer, products, layout.productRow, squares, [this](int slot, int column, float value) {
          if (column < mixed)
            mix.set(column - m, slot, value);
          else
            mix.set(slot, n + column - mixed, value);
        });
    waitForBlock();
    Element *next = static_cast<Element *>(arguments.nextState) + token * n * C;
    combineRows<n, mixed>(
        mix.memory, mix.row, mix, stage, shared + layout.zeros, next,
        shape.usesTensorCores ? stage
        : Reads               ? shared + layout.nextState
                              : nullptr);
    if (arguments.savedWrite) {
      Element *savedWrite = static_cast<Element *>(arguments.savedWrite) + token * m * n;
      for (int i = threadIndex(); i < m * n; i += threads) assign(savedWrite[i], mix(i % n, n + i / n));
    }
  }

  /// `spare`: rows for the input, which are not needed any longer.
  WB_DEVICE void readFrom(const unsigned char *state, unsigned char *spare, long long token) {
    project<0, m>(arguments.reader, state, shared + layout.readerMaps);
    waitForBlock();
    forEachCoefficient<0, m>(
        arguments.reader, products, layout.productRow, squares,
        [this](int slot, int column, float value) { read.set(column, slot, value); });
    waitForBlock();
    Element *input = static_cast<Element *>(arguments.input) + token * m * C;
    combineRows<m, n>(
        read.memory, read.row, read, state, shared + layout.zeros, input, shape.usesTensorCores ? spare : nullptr);
  }

  WB_DEVICE void run() {
    prepare();
    auto fetchToken = [this](unsigned char *stage, long long token) { fetch(stage, token); };
    forEachToken<WB_FORWARD_STAGES>(
        shared, layout.stage, arguments.tokens, fetchToken, [this](unsigned char *stage, long long token) {
          if constexpr (Writes) write(stage, token);
          if constexpr (Reads) {
            unsigned char *state = Writes && !shape.usesTensorCores ? shared + layout.nextState : stage;
            if constexpr (Writes) waitForBlock();
            // A read alone overwrites the state with its input for the tensor cores, each warp in its own channels.
            readFrom(state, Writes ? stage + n * shape.row() : stage, token);
          }
        });
  }
};

}  // namespace ckernels::cuda
