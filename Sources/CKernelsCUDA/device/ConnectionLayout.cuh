// The interface of host and GPU: the arguments of the kernels, and the layout of a block's shared memory. Compiled on both
// sides, so it uses no library.
//
// Shape letters: N tokens, m fraction rate, n slots, C slot width, k = 2m + n coefficients a slot.
namespace ckernels::cuda {

/// The parameters of one connection in the GPU's memory, as in `ck_connection`.
struct Weights {
  const float *staticReadCarry, *staticWrite, *dynamicReadCarry, *dynamicWrite, *readCarryScale, *writeScale, *gain;
  float epsilon;
};

struct ForwardArguments {
  Weights writer, reader;
  const void *state, *output;
  void *nextState, *savedWrite, *input;
  long long tokens;
};

struct BackwardArguments {
  Weights connection;
  const void *state, *output, *inputGradient, *nextStateGradient, *previousSavedWrite;
  void *stateGradient, *previousOutputGradient;
  float *sums;  ///< a `Shape::sumCount` for every block of threads
  long long tokens;
};

/// The sums of all blocks, added in order to `total` and from there to the gradients, any of which may be null.
struct ReductionArguments {
  Weights connection;
  const float *sums;
  float *total;
  float *staticReadCarry, *staticWrite, *dynamicReadCarry, *dynamicWrite, *readCarryScale, *writeScale, *gain;
  int blocks;
};

struct NormArguments {
  const void *x;
  const float *weight;
  void *y;
  float *scale;  ///< or null
  const float *savedScale;
  const void *yGradient;
  void *xGradient;
  float *sums;  ///< a row for every block of threads
  float *weightGradient;
  long long rows;
  int blocks;
  float epsilon;
};

constexpr int roundUp(int value, int unit) { return (value + unit - 1) / unit * unit; }
constexpr int smaller(int a, int b) { return a < b ? a : b; }
constexpr int larger(int a, int b) { return a > b ? a : b; }

/// Lanes that share a row of `width` channels when it is normalized, and the pieces of `vector` channels that each has.
constexpr int normLanes(int width, int vector) {
  int lanes = 1;
  while (lanes < 32 && lanes * vector < width) lanes *= 2;
  return lanes;
}
constexpr int normPieces(int width, int vector) {
  return (width + normLanes(width, vector) * vector - 1) / (normLanes(width, vector) * vector);
}

/// One kind of connection, and the division of the work on a token among a block's threads.
struct Shape {
  int m, n, C;
  int elementBytes;  ///< of state, output and their gradients: 2 for bfloat16, 4 for float32
  bool isDynamic;
  bool usesTensorCores;
  int warps;

  constexpr Shape(int m, int n, int C, int elementBytes, bool isDynamic)
      : m(m), n(n), C(C), elementBytes(elementBytes), isDynamic(isDynamic),
        usesTensorCores(elementBytes == 2 && n % 16 == 0 && n <= 64 && m <= n && C % 64 == 0),
        warps(usesTensorCores || C / vector() * ((n + 3) / 4) > 128 ? 8 : 4) {}

  constexpr int columns() const { return 2 * m + n; }
  constexpr int mixed() const { return m + n; }
  constexpr int paddedColumns() const { return roundUp(columns(), 8); }
  constexpr int threads() const { return warps * 32; }
  /// Channels that a thread loads at once: 16 bytes of them where every row is aligned to that.
  constexpr int vector() const { return C * elementBytes % 16 == 0 ? 16 / elementBytes : 1; }
  /// Bytes of a row of channels in shared memory, with 16 bytes of padding, so that the rows of a tile are in different
  /// banks.
  constexpr int row() const { return roundUp(C * elementBytes, 16) + 16; }
  constexpr int savedWriteRow() const { return roundUp(n * elementBytes, 16) + 16; }

  // The division of inner products along the channels: rows of slots, columns, and parts of the channels.
  constexpr int tileRows() const { return n >= 64 ? 2 : 1; }  ///< in units of 16
  constexpr int rowWarps() const { return larger(n / 16 / tileRows(), 1); }
  constexpr int columnWarps() const { return smaller(n >= 64 ? warps : n >= 32 ? 2 : 1, warps / rowWarps()); }
  /// Partial inner products of the same row and column, each over a part of the channels.
  constexpr int shares() const {
    if (usesTensorCores) return warps / (rowWarps() * columnWarps());
    const int tiles = (n + 3) / 4 * ((columns() + 7) / 8);
    return tiles == 1 ? warps : tiles == 2 ? warps / 2 : tiles <= 4 ? warps / 4 : 1;
  }

  // Tables of coefficients: float32, or bfloat16 for the tensor cores, whose tiles are 16 wide.
  constexpr int tableRows(int rows) const { return usesTensorCores ? roundUp(rows, 16) : rows; }
  constexpr int tableRow(int count) const {
    return usesTensorCores ? roundUp(count, 16) * 2 + 16 : roundUp(count, 4) * 4;
  }
  constexpr int table(int rows, int count) const { return tableRows(rows) * tableRow(count); }

  /// Floats of the gradients that a block sums up: maps [k, C], then coefficients [n, k], then scales [n, k].
  constexpr int mapCount() const { return isDynamic ? columns() * C : 0; }
  constexpr int tableCount() const { return n * columns(); }
  constexpr int sumCount() const { return mapCount() + tableCount() * (isDynamic ? 2 : 1); }
  /// Registers that a thread needs for its part of the maps' gradients across tokens.
  constexpr int mapRegisters() const { return roundUp(columns(), 16) * C / threads(); }
  constexpr bool keepsMapsInRegisters() const { return usesTensorCores && isDynamic && mapRegisters() <= 96; }
};

/// Offsets into the shared memory of a forward kernel.
struct ForwardLayout {
  int stage;  ///< bytes of one token's inputs: state [n], output [m]
  int zeros, writerMaps = 0, readerMaps = 0, products = 0, productRow = 0, squares = 0, mix = 0, read = 0,
             nextState = 0;
  int bytes = 0;

  constexpr ForwardLayout(const Shape &shape, bool writes, bool reads, int stages)
      : stage((shape.n + (writes ? shape.m : 0)) * shape.row()), zeros(stages * stage) {
    const bool keepsMaps = shape.usesTensorCores && shape.isDynamic;
    writerMaps = zeros + (shape.usesTensorCores ? shape.row() : 0);
    readerMaps = writerMaps + (keepsMaps && writes ? shape.mixed() * shape.row() : 0);
    products = readerMaps + (keepsMaps && reads ? shape.m * shape.row() : 0);
    productRow = roundUp(writes ? shape.mixed() : shape.m, 8) + 4;
    squares = products + (shape.isDynamic ? shape.shares() * shape.n * productRow * 4 : 0);
    mix = roundUp(squares + shape.shares() * shape.n * 4, 16);
    read = mix + (writes ? shape.table(shape.n, shape.mixed()) : 0);
    nextState = read + (reads ? shape.table(shape.m, shape.n) : 0);
    bytes = nextState + (writes && reads && !shape.usesTensorCores ? shape.n * shape.row() : 0);
  }
};

/// Offsets into the shared memory of a backward kernel: of a connection, of the write before it, or of both.
struct BackwardLayout {
  /// Bytes of one token's inputs: input gradient [m], next state's gradient [n], state [n], output [m], savedWrite [m].
  int stage = 0;
  int nextStateGradient, state, output = 0, savedWrite = 0;  ///< within a stage
  int zeros = 0, maps = 0, products = 0, productRow = 0, squares = 0, diagonal = 0, stateGradient = 0, tableSums = 0;
  int mapSums = 0, bytes = 0;

  /// `keepsSums`: whether the sums of gradients that are not in registers are in shared memory.
  constexpr BackwardLayout(const Shape &shape, bool isWhole, bool hasPrevious, int stages, bool keepsSums)
      : nextStateGradient(shape.m * shape.row()), state(nextStateGradient + shape.n * shape.row()) {
    output = state + (isWhole ? shape.n * shape.row() : 0);
    savedWrite = output + (isWhole ? shape.m * shape.row() : 0);
    stage = savedWrite + (hasPrevious ? shape.tableRows(shape.m) * shape.savedWriteRow() : 0);
    zeros = stages * stage;
    maps = zeros + (shape.usesTensorCores ? shape.row() : 0);
    bytes = products = maps;
    if (!isWhole) return;
    products += shape.usesTensorCores && shape.isDynamic ? shape.columns() * shape.row() : 0;
    productRow = 2 * shape.paddedColumns() + 4;
    squares = products + shape.shares() * shape.n * productRow * 4;
    diagonal = squares + shape.shares() * shape.n * 4;
    stateGradient = roundUp(diagonal + shape.n * 4, 16);
    tableSums = stateGradient + (hasPrevious && !shape.usesTensorCores ? shape.n * shape.row() : 0);
    mapSums = tableSums + (keepsSums ? shape.tableCount() * (shape.isDynamic ? 2 : 1) * 4 : 0);
    bytes = mapSums + (keepsSums && !shape.keepsMapsInRegisters() ? shape.mapCount() * 4 : 0);
  }
};

}  // namespace ckernels::cuda
