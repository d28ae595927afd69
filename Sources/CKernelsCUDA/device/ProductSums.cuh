// The multiplication of two rows of a weight with the rows of x, on tensor cores or by multiply-adds.
namespace ckernels::cuda::product {

constexpr int warps = shape.warps, threads = shape.threads, tile = shape.tile;
constexpr int columnTiles = (WB_ROWS + 7) / 8;  ///< of eight rows of x each, for tensor cores

/// A warp's part of two rows of the weight, and of the pieces that are loaded together.
struct Unit {
  Piece low[steps], high[steps];
  Scales lowScales, highScales;
};

/// Sums of the lane's part of columns: on tensor cores the lane's four of each tile, else of both rows with every row of x.
template <bool UsesTensorCores = shape.usesTensorCores()>
struct Sums {
  float at[UsesTensorCores ? columnTiles : 2][UsesTensorCores ? 4 : WB_ROWS];

  /// Adds the products of a unit with its columns of `rows` rows of x, which are `rowBytes` apart from `x` on.
  WB_DEVICE void add(const Unit &unit, const unsigned char *x, int rowBytes, int rows) {
    const int lane = threadIndex() % 32;
    if constexpr (UsesTensorCores) {
      unsigned low[slabs][4], high[slabs][4];
      pairsOf(unit.low, low);
      pairsOf(unit.high, high);
      const unsigned char *columns[columnTiles];
#pragma unroll
      for (int i = 0; i < columnTiles; i++) {
        // Columns of the tile without a row of x repeat the last row.
        const int row = lane / 4 + i * 8;
        columns[i] = x + (row < rows ? row : rows - 1) * rowBytes + lane % 4 * 16;
      }
#pragma unroll
      for (int slab = 0; slab < slabs; slab++) {
        const unsigned first[4] = {low[slab][0], high[slab][0], low[slab][1], high[slab][1]};
        const unsigned second[4] = {low[slab][2], high[slab][2], low[slab][3], high[slab][3]};
#pragma unroll
        for (int i = 0; i < columnTiles; i++) {
          const Pack<unsigned, 4> pairs = *reinterpret_cast<const Pack<unsigned, 4> *>(columns[i] + slab * 64);
          if constexpr (shape.isScaled()) {
            float group[4] = {};
            multiplyAdd(group, first, pairs.at);
            multiplyAdd(group, second, pairs.at + 2);
#pragma unroll
            for (int j = 0; j < 4; j++) at[i][j] += (j < 2 ? unit.lowScales : unit.highScales).of(slab) * group[j];
          } else {
            multiplyAdd(at[i], first, pairs.at);
            multiplyAdd(at[i], second, pairs.at + 2);
          }
        }
      }
    } else {
#pragma unroll
      for (int step = 0; step < steps; step++) {
        const int place = step * shape.stepColumns() + lane % 4 * shape.pieceColumns();
        float lowScale = 1.0f, highScale = 1.0f;
        if constexpr (shape.isScaled()) {
          const int group = place / 32;
          lowScale = unit.lowScales.of(group);
          highScale = unit.highScales.of(group);
        }
        const Piece lowPiece = neighbors(unit.low[step]), highPiece = neighbors(unit.high[step]);
#pragma unroll
        for (int j = 0; j < shape.pieceColumns() / 4; j++) {
          float low[4], high[4];
          quad(lowPiece, j, low);
          quad(highPiece, j, high);
#pragma unroll
          for (int i = 0; i < 4; i++) {
            low[i] *= lowScale;
            high[i] *= highScale;
          }
#pragma unroll
          for (int row = 0; row < WB_ROWS; row++) {
            if (row >= rows) continue;
            const Pack<float, 4> pack =
                *reinterpret_cast<const Pack<float, 4> *>(x + row * rowBytes + (place + j * 4) * 4);
#pragma unroll
            for (int i = 0; i < 4; i++) {
              at[0][row] += low[i] * pack.at[i];
              at[1][row] += high[i] * pack.at[i];
            }
          }
        }
      }
    }
  }

  /// Stores the warp's sums of a tile in shared memory: [16, WB_ROWS].
  WB_DEVICE void store(float *all) {
    const int lane = threadIndex() % 32;
    float *own = all + threadIndex() / 32 * tile * WB_ROWS + lane / 4 * WB_ROWS;
    if constexpr (UsesTensorCores) {
#pragma unroll
      for (int i = 0; i < columnTiles; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) own[j / 2 * 8 * WB_ROWS + i * 8 + lane % 4 * 2 + j % 2] = at[i][j];
    } else {
#pragma unroll
      for (int half = 0; half < 2; half++)
#pragma unroll
        for (int row = 0; row < WB_ROWS; row++) {
          float &sum = at[half][row];
          sum += fromLane(sum, 1);
          sum += fromLane(sum, 2);
          if (lane % 4 == 0) own[half * 8 * WB_ROWS + row] = sum;
        }
    }
  }
};

}  // namespace ckernels::cuda::product
