// The interface of host and GPU in decoding: the arguments of the kernels, and the division of a block's work and shared
// memory. Compiled on both sides, so it uses no library.
//
// Shape letters: R rows, K inputs and N outputs of a weight, hd channels of a head.
namespace ckernels::cuda {

struct ProductMatrix {
  const void *values;
  const unsigned short *scales;  ///< null for floats
  long long outputs;
};

struct ProductArguments {
  ProductMatrix matrices[3];
  const void *x;         ///< [R, K]
  const float *gain;     ///< [K], the weight of x's norm, or null for no norm
  const void *residual;  ///< [R, N] added to the result, or null
  void *y;
  int *counters;  ///< set to zero for the next kernel, or null
  long long inputs;
  int rows, counterCount;
  int slice;  ///< columns of x in shared memory at once: all, or a multiple of `ProductShape::roundColumns`
  float epsilon;
};

/// The KV cache of one sequence in a layer; its new positions begin at `start`, plus `*position` unless that is null.
struct AttentionSequence {
  void *keys, *values;
  float *keyScales, *valueScales;
  const long long *position;
  long long start, capacity;
  int rows;
};

struct AttentionArguments {
  static constexpr int maximumSequences = 16;
  AttentionSequence sequences[maximumSequences];
  const float *projected;  ///< queries, keys and values [R, heads + 2 key heads, hd]
  const float *queryNorm, *keyNorm, *cosine, *sine;
  void *attentionOutput;          ///< [R, heads, hd]
  float *sums, *extremes;  ///< of each task and split: [queries, hd], and [queries, 2] of largest score and total
  int *counters;           ///< of each task, zero
  int heads, keyHeads, splits;
  float epsilon;
};

constexpr int ceiling(long long value, long long unit) { return int((value + unit - 1) / unit); }

/// The format of a weight, as in `ck_weight_format`.
enum Format { float32Format = 0, bfloat16Format = 1, int8Format = 2, int4Format = 3 };

/// The division of a product of a few rows with a weight. A block has 16 rows of the weight at a time: lane i has rows
/// i / 4 and i / 4 + 8, and of those every fourth piece of 16 bytes. The columns are distributed to the warps in units.
struct ProductShape {
  int format, elementBytes;
  int rows;  ///< at most

  static constexpr int warps = 8, threads = warps * 32, tile = 16;

  constexpr ProductShape(int format, int elementBytes, int rows)
      : format(format), elementBytes(elementBytes), rows(rows) {}

  constexpr bool usesTensorCores() const { return elementBytes == 2; }
  constexpr bool isScaled() const { return format >= int8Format; }
  /// Columns in 16 bytes, in the 16 bytes of each of four lanes, and in a warp's unit.
  constexpr int pieceColumns() const { return 4 << format; }
  constexpr int stepColumns() const { return 4 * pieceColumns(); }
  constexpr int unitSteps() const { return format <= bfloat16Format ? 4 : format == int8Format ? 2 : 1; }
  constexpr int unitColumns() const { return stepColumns() * unitSteps(); }
  /// Units that a warp loads together, and the columns of such loads of all warps.
  constexpr int unitsTogether() const { return format == int4Format ? 2 : 1; }
  constexpr int roundColumns() const { return unitColumns() * unitsTogether() * warps; }

  /// Blocks that a multiprocessor has registers for.
  constexpr int blocksTogether() const { return rows > 8 && (isScaled() || !usesTensorCores()) ? 1 : 2; }

  // Shared memory: rows of x, their sums of squares by warp, and two sets of all warps' sums.

  /// 64 bytes of padding, so that neighboring rows are in different banks.
  constexpr int row(int slice) const { return slice * elementBytes + 64; }
  constexpr int squaresBytes() const { return rows * warps * 4; }
  constexpr int sumCount() const { return warps * tile * rows; }
  constexpr int bytes(int given, int slice) const { return given * row(slice) + squaresBytes() + 2 * sumCount() * 4; }

  /// The columns that fit into `limit` bytes for so many rows.
  constexpr int sliceFor(int given, long long inputs, int limit) const {
    const int whole = ceiling(inputs, unitColumns()) * unitColumns();
    if (bytes(given, whole) <= limit) return whole;
    const int columns = (limit - bytes(given, 0)) / (given * elementBytes);
    return columns / roundColumns() * roundColumns();
  }
};

/// The division of attention over a cache. A block has some queries of one key head and a range of positions; some lanes of a
/// warp share a position.
struct AttentionShape {
  int head, format, elementBytes;
  int queries;  ///< of a block

  static constexpr int warps = 8, threads = warps * 32;
  static constexpr int loads = 4;  ///< positions that a lane loads at once

  constexpr AttentionShape(int head, int format, int elementBytes, int queries)
      : head(head), format(format), elementBytes(elementBytes), queries(queries) {}

  constexpr int cacheBytes() const { return format == float32Format ? 4 : format == bfloat16Format ? 2 : 1; }
  constexpr int maximumChannels() const { return format == float32Format ? 4 : 8; }
  /// Channels of a lane, and lanes of a position.
  constexpr int channels() const { return head % maximumChannels() == 0 ? maximumChannels() : 2; }
  constexpr int lanes() const {
    int lanes = 1;
    while (lanes * channels() < head) lanes *= 2;
    return lanes;
  }
  constexpr bool isPossible() const { return head >= 2 && head % 2 == 0 && lanes() <= 32; }
  /// Positions that a block loads at once.
  constexpr int positions() const { return 32 / lanes() * loads * warps; }

  // Shared memory: queries, a key of each warp, then the warps' sums and extremes; later the weights of the splits.

  constexpr int queryCount() const { return queries * head; }
  constexpr int sumCount() const { return warps * queries * head; }
  constexpr int extremeCount() const { return warps * queries * 2; }
  static constexpr int maximumSplits = 32;
  constexpr int bytes() const {
    return (queryCount() + warps * head + sumCount() + extremeCount() + maximumSplits * queries + 4) * 4;
  }
};

}  // namespace ckernels::cuda
