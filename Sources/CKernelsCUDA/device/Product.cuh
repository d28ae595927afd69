// Products of up to 16 rows with a weight, which is read from memory once. A block processes one tile of 16 rows of the
// weight after another; it loads the next pieces while it multiplies, and the first ones before anything else. The bits of
// a row's result do not depend on the other rows.
#include "DecodingLayout.cuh"
#include "Device.cuh"
#include "Numerics.cuh"
#include "Weights.cuh"
#include "ProductSums.cuh"

namespace ckernels::cuda::product {

/// The results of the products.
enum class Kind {
  plain,        ///< y [R, N], with the residual
  projections,  ///< up to three weights, concatenated y [R, all N] in float32
  gates         ///< silu(first weight x) * (second weight x), y [R, N]
};

template <Kind kind>
class Product {
  static constexpr bool isPaired = kind == Kind::gates;
  static constexpr int tileOutputs = isPaired ? tile / 2 : tile;

  struct Round {
    Unit units[shape.unitsTogether()];
  };
  /// A lane's two rows of the weight.
  struct Rows {
    const unsigned char *low, *high;
    const unsigned short *lowScales, *highScales;
  };
  const ProductArguments &arguments;
  const int warp = threadIndex() / 32, lane = threadIndex() % 32;
  const int inputs = int(arguments.inputs), groups;
  const long long rowBytes;
  const bool isAligned;
  unsigned char *const x = sharedMemory();
  float *const squares = reinterpret_cast<float *>(x + arguments.rows * shape.row(arguments.slice));
  float *const sumsOfWarps = squares + shape.squaresBytes() / 4;

  WB_DEVICE static int tilesOf(const ProductMatrix &matrix) { return ceiling(matrix.outputs, tileOutputs); }

  WB_DEVICE int tiles() const {
    int count = tilesOf(arguments.matrices[0]);
    if constexpr (kind == Kind::projections) count += tilesOf(arguments.matrices[1]) + tilesOf(arguments.matrices[2]);
    return count;
  }

  /// Converts the index of a tile among all weights to that in its weight; returns the weight's index.
  WB_DEVICE int matrixOf(int &tile) const {
    int matrix = 0;
    if constexpr (kind == Kind::projections)
      for (; matrix < 2 && tile >= tilesOf(arguments.matrices[matrix]); matrix++)
        tile -= tilesOf(arguments.matrices[matrix]);
    return matrix;
  }

  WB_DEVICE Rows rowsOf(int tile) const {
    const ProductMatrix &low = arguments.matrices[matrixOf(tile)];
    const ProductMatrix &high = isPaired ? arguments.matrices[1] : low;
    // Rows after the end repeat the last row; their sums are not stored.
    auto within = [&](long long row) { return row < low.outputs ? row : low.outputs - 1; };
    const long long first = within((long long)tile * tileOutputs + lane / 4);
    const long long second = isPaired ? first : within((long long)tile * tileOutputs + lane / 4 + 8);
    return {
        static_cast<const unsigned char *>(low.values) + first * rowBytes,
        static_cast<const unsigned char *>(high.values) + second * rowBytes, low.scales + first * groups,
        high.scales + second * groups};
  }

  WB_DEVICE int unitOf(int round, int each) const { return (round * shape.unitsTogether() + each) * warps + warp; }

  WB_DEVICE void load(Round &round, const Rows &rows, int number) const {
#pragma unroll
    for (int each = 0; each < shape.unitsTogether(); each++) {
      const int first = unitOf(number, each) * shape.unitColumns();
      Unit &unit = round.units[each];
      if (first >= inputs) continue;
#pragma unroll
      for (int step = 0; step < steps; step++) {
        const int k = first + step * shape.stepColumns() + lane % 4 * shape.pieceColumns();
        unit.low[step] = pieceAt(rows.low, k, inputs, isAligned);
        unit.high[step] = pieceAt(rows.high, k, inputs, isAligned);
      }
      if constexpr (shape.isScaled()) {
        unit.lowScales = scalesAt(rows.lowScales, first / 32, groups);
        unit.highScales = scalesAt(rows.highScales, first / 32, groups);
      }
    }
  }

  /// Four columns of a row of x, zero after the end.
  WB_DEVICE void fourOf(int row, int column, float (&values)[4]) const {
    const Element *from = static_cast<const Element *>(arguments.x) + (long long)row * inputs + column;
    if (inputs % 4 == 0 && column < inputs) {
      const Pack<Element, 4> pack = *reinterpret_cast<const Pack<Element, 4> *>(from);
#pragma unroll
      for (int i = 0; i < 4; i++) values[i] = toFloat(pack.at[i]);
    } else {
#pragma unroll
      for (int i = 0; i < 4; i++) values[i] = column + i < inputs ? toFloat(from[i]) : 0.0f;
    }
  }

  /// Every warp's part of the sum of squares of every row.
  WB_DEVICE void sumSquares() const {
    for (int row = 0; row < arguments.rows; row++) {
      float sum = 0.0f;
      for (int column = threadIndex() * 4; column < inputs; column += threads * 4) {
        float values[4];
        fourOf(row, column, values);
#pragma unroll
        for (int i = 0; i < 4; i++) sum += values[i] * values[i];
      }
      sum = sumOfLanes(sum);
      if (lane == 0) squares[row * warps + warp] = sum;
    }
  }

  /// Stores columns of x from `first` on in shared memory, normalized.
  WB_DEVICE void stage(int first) const {
    const int fours = arguments.slice / 4;
    for (int i = threadIndex(); i < arguments.rows * fours; i += threads) {
      const int row = i / fours, column = i % fours * 4;
      float values[4];
      fourOf(row, first + column, values);
      if (arguments.gain) {
        float sum = 0.0f;
#pragma unroll
        for (int part = 0; part < warps; part++) sum += squares[row * warps + part];
        const float scale = inverseRoot(sum / float(inputs) + arguments.epsilon);
#pragma unroll
        for (int j = 0; j < 4; j++)
          values[j] *= first + column + j < inputs ? scale * arguments.gain[first + column + j] : 0.0f;
      }
      Element *to = reinterpret_cast<Element *>(x + row * shape.row(arguments.slice));
#pragma unroll
      for (int j = 0; j < 4; j++) assign(to[column / 32 * 32 + placeOf(column % 32 + j)], values[j]);
    }
  }

  /// Adds up the warps' sums of a tile and stores the results.
  WB_DEVICE void storeTile(int tile, const float *all) const {
    const int matrix = matrixOf(tile);
    const long long outputs = arguments.matrices[matrix].outputs;
    for (int i = threadIndex(); i < tileOutputs * arguments.rows; i += threads) {
      const int row = i / tileOutputs, place = i % tileOutputs;
      const long long output = (long long)tile * tileOutputs + place;
      if (output >= outputs) continue;
      auto sumOf = [&](int place) {
        float sum = 0.0f;
#pragma unroll
        for (int part = 0; part < warps; part++) sum += all[part * product::tile * WB_ROWS + place * WB_ROWS + row];
        return sum;
      };
      float value = sumOf(place);
      if constexpr (kind == Kind::projections) {
        long long total = 0, before = 0;
        for (int each = 0; each < 3; each++) {
          if (each < matrix) before += arguments.matrices[each].outputs;
          total += arguments.matrices[each].outputs;
        }
        static_cast<float *>(arguments.y)[row * total + before + output] = value;
      } else {
        const long long at = row * outputs + output;
        if constexpr (isPaired)
          value *= sumOf(place + 8) / (1.0f + powerOfTwo(-1.44269504f * value));
        else if (arguments.residual)
          value += toFloat(static_cast<const Element *>(arguments.residual)[at]);
        assign(static_cast<Element *>(arguments.y)[at], value);
      }
    }
  }

 public:
  WB_DEVICE explicit Product(const ProductArguments &arguments)
      : arguments(arguments), groups(
                                  !shape.isScaled()            ? 0
                                  : shape.format == int4Format ? ceiling(inputs, 128) * 4
                                                               : ceiling(inputs, 32)),
        rowBytes(shape.format == int4Format ? ceiling(inputs, 128) * 64ll : inputs * (long long)storedBytes),
        isAligned(rowBytes % 16 == 0) {}

  WB_DEVICE void run() const {
    const int all = tiles(), rounds = ceiling(inputs, shape.roundColumns());
    const int sliceRounds = arguments.slice >= inputs ? rounds : arguments.slice / shape.roundColumns();
    Rows rows = rowsOf(blockIndex());
    Round next = {};
    load(next, rows, 0);
    for (int i = threadIndex(); blockIndex() == 0 && i < arguments.counterCount; i += threads)
      arguments.counters[i] = 0;
    if (arguments.gain) sumSquares();
    bool isStaged = false;
    int set = 0;
    for (int tile = blockIndex(); tile < all; tile += blockCount()) {
      Sums<> sums = {};
      for (int round = 0; round < rounds; round++) {
        if (round % sliceRounds == 0 && !(isStaged && sliceRounds == rounds)) {
          waitForBlock();
          stage(round * shape.roundColumns());
          waitForBlock();
          isStaged = true;
        }
        const Round now = next;
        if (round + 1 < rounds) {
          load(next, rows, round + 1);
        } else if (tile + blockCount() < all) {
          rows = rowsOf(tile + blockCount());
          load(next, rows, 0);
        }
#pragma unroll
        for (int each = 0; each < shape.unitsTogether(); each++) {
          const int first = unitOf(round, each) * shape.unitColumns();
          const int column = first - round / sliceRounds * arguments.slice;
          if (first < inputs)
            sums.add(now.units[each], x + column * int(sizeof(Element)), shape.row(arguments.slice), arguments.rows);
        }
      }
      // Two sets, used alternately: before a warp reuses one, all have passed the barrier of the other.
      float *sumsOfTile = sumsOfWarps + set * shape.sumCount();
      sums.store(sumsOfTile);
      waitForBlock();
      storeTile(tile, sumsOfTile);
      set ^= 1;
    }
  }
};

WB_KERNEL(shape.blocksTogether()) skinnyGEMM(WB_ARGUMENTS ProductArguments arguments) {
  Product<Kind::plain>(arguments).run();
}
WB_KERNEL(shape.blocksTogether()) skinnyProjections(WB_ARGUMENTS ProductArguments arguments) {
  Product<Kind::projections>(arguments).run();
}
WB_KERNEL(shape.blocksTogether()) skinnyGates(WB_ARGUMENTS ProductArguments arguments) {
  Product<Kind::gates>(arguments).run();
}

}  // namespace ckernels::cuda::product
