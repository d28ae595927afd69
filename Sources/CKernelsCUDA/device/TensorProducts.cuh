// The two products of a connection on tensor cores: bfloat16 operands in shared memory, float32 sums. n is a multiple of 16
// and C of 64.
namespace ckernels::cuda::tensor {

constexpr int row = shape.row();

/// Inner products, along the channels, of the n rows of `left` with right(column), a row in shared memory, for 8 `Tiles`
/// columns. Each part of the channels is given to sink(share, row, column, value) separately.
template <int Tiles, bool Squares, class Right, class Sink>
WB_DEVICE void innerProducts(
    const unsigned char *left, int rowWarp, int share, int firstTile, Right right, float *squares, Sink sink) {
  constexpr int high = shape.tileRows(), pairs = (Tiles + 1) / 2, steps = C / 16;
  const int lane = threadIndex() % 32;
  float sums[high][pairs * 2][4] = {}, squareSums[high][2] = {};
  const unsigned char *rights[pairs];
#pragma unroll
  for (int p = 0; p < pairs; p++) rights[p] = right((firstTile + 2 * p + lane / 16) * 8 + lane % 8) + lane / 8 % 2 * 16;
  const unsigned char *lefts = left + (rowWarp * high * 16 + lane % 16) * row + lane / 16 * 16;
  const int last = steps * (share + 1) / shape.shares();
#pragma unroll 2
  for (int step = steps * share / shape.shares(); step < last; step++) {
    unsigned a[high][4];
#pragma unroll
    for (int h = 0; h < high; h++) {
      loadMatrices(a[h], lefts + h * 16 * row + step * 32);
      if constexpr (Squares) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float x = floatFromBits(a[h][i] << 16), y = floatFromBits(a[h][i] & 0xffff0000u);
          squareSums[h][i % 2] += x * x + y * y;
        }
      }
    }
#pragma unroll
    for (int p = 0; p < pairs; p++) {
      unsigned b[4];
      loadMatrices(b, rights[p] + step * 32);
#pragma unroll
      for (int h = 0; h < high; h++) {
        multiplyAdd(sums[h][2 * p], a[h], b);
        if (2 * p + 1 < Tiles) multiplyAdd(sums[h][2 * p + 1], a[h], b + 2);
      }
    }
  }
#pragma unroll
  for (int h = 0; h < high; h++) {
    const int r = (rowWarp * high + h) * 16 + lane / 4;
#pragma unroll
    for (int t = 0; t < Tiles; t++)
#pragma unroll
      for (int i = 0; i < 4; i++) sink(share, r + i / 2 * 8, (firstTile + t) * 8 + lane % 4 * 2 + i % 2, sums[h][t][i]);
    if constexpr (Squares) {
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float sum = squareSums[h][i];
        sum += fromLane(sum, 1);
        sum += fromLane(sum, 2);
        if (lane % 4 == 0) squares[share * n + r + i * 8] = sum;
      }
    }
  }
}

/// Channels that belong to a warp in `combine` and `accumulateMaps`, from start to end of a token.
constexpr int warpColumns = C / warps;
constexpr int warpTiles = larger(warpColumns / 8, 1);

/// The words of right(row) for rows 16 step … 16 step + 15 and 16 channels from c on.
template <class Right>
WB_DEVICE void loadRight(unsigned (&b)[4], int step, int c, Right right) {
  const int lane = threadIndex() % 32;
  loadTransposed(b, right(step * 16 + lane % 16) + (c + lane / 16 * 8) * 2);
}

/// emit(row, channel, two neighboring sums) of table [Rows, 16 Steps] times right [16 Steps, C], in the warp's own
/// channels, about `Tiles` tiles at a time. All reads of some channels precede their emits.
template <int Rows, int Steps, int Tiles = 16, class Right, class Emit>
WB_DEVICE void combine(const unsigned char *table, int tableRow, Right right, Emit emit) {
  constexpr int high = (Rows + 15) / 16, wide = smaller(warpTiles, larger(Tiles / high, 1)), pairs = (wide + 1) / 2;
  const int lane = threadIndex() % 32;
  for (int first = 0; first < warpTiles; first += wide) {
    const int c = threadIndex() / 32 * warpColumns + first * 8;
    float sums[high][pairs * 2][4] = {};
#pragma unroll(Tiles < 16 || high > 2 ? 1 : 2)
    for (int step = 0; step < Steps; step++) {
      unsigned a[high][4];
#pragma unroll
      for (int h = 0; h < high; h++)
        loadMatrices(a[h], table + (h * 16 + lane % 16) * tableRow + step * 32 + lane / 16 * 16);
#pragma unroll
      for (int p = 0; p < pairs; p++) {
        unsigned b[4];
        loadRight(b, step, c + p * 16, right);
#pragma unroll
        for (int h = 0; h < high; h++) {
          multiplyAdd(sums[h][2 * p], a[h], b);
          if (2 * p + 1 < wide) multiplyAdd(sums[h][2 * p + 1], a[h], b + 2);
        }
      }
    }
    waitForWarp();
#pragma unroll
    for (int h = 0; h < high; h++)
#pragma unroll
      for (int t = 0; t < wide; t++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const int r = h * 16 + half * 8 + lane / 4;
          if (first + t < warpTiles && r < Rows)
            emit(r, c + t * 8 + lane % 4 * 2, sums[h][t][2 * half], sums[h][t][2 * half + 1]);
        }
  }
}

/// Tiles of the maps' gradients, 16 columns of coefficients by 8 channels.
constexpr int mapRows = (columns + 15) / 16;

/// sums += q^T state in the warp's own channels; the table's rows are those of q [n, columns].
template <class Right>
WB_DEVICE void accumulateMaps(
    float (&sums)[mapRows][warpTiles][4], const unsigned char *table, int tableRow, Right state) {
  const int lane = threadIndex() % 32, first = threadIndex() / 32 * warpColumns;
  for (int step = 0; step < n / 16; step++) {
    unsigned b[(warpTiles + 1) / 2][4];
#pragma unroll
    for (int p = 0; p < (warpTiles + 1) / 2; p++) loadRight(b[p], step, first + p * 16, state);
#pragma unroll
    for (int k = 0; k < mapRows; k++) {
      unsigned a[4];
      loadTransposed(a, table + (step * 16 + lane / 16 * 8 + lane % 8) * tableRow + (k * 16 + lane / 8 % 2 * 8) * 2);
#pragma unroll
      for (int t = 0; t < warpTiles; t++) multiplyAdd(sums[k][t], a, b[t / 2] + t % 2 * 2);
    }
  }
}

/// each(column, channel, sum) of the sums of `accumulateMaps`.
template <class Each>
WB_DEVICE void forEachMapSum(float (&sums)[mapRows][warpTiles][4], Each each) {
  const int lane = threadIndex() % 32, first = threadIndex() / 32 * warpColumns;
#pragma unroll
  for (int k = 0; k < mapRows; k++)
#pragma unroll
    for (int t = 0; t < warpTiles; t++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int column = k * 16 + lane / 4 + i / 2 * 8;
        if (column < columns) each(column, first + t * 8 + lane % 4 * 2 + i % 2, sums[k][t][i]);
      }
}

}  // namespace ckernels::cuda::tensor
