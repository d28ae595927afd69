// The two products of a connection, by multiply-adds: for any m, n and C, and for float32.
namespace ckernels::cuda::plain {

constexpr int tileRows = smaller(n, 4), tileColumns = 8;

/// Adds up 2 `Half` values over as many neighboring lanes of a warp: lane i gets the sum of value i.
template <int Half>
WB_DEVICE void sumAcross(float (&values)[32], int lane) {
  const bool upper = lane & Half;
#pragma unroll
  for (int i = 0; i < Half; i++) {
    const float given = fromLane(upper ? values[i] : values[Half + i], Half);
    values[i] = (upper ? values[Half + i] : values[i]) + given;
  }
  if constexpr (Half > 1) sumAcross<Half / 2>(values, lane);
}

/// products[share][row][column] = the share's part of the inner product along the channels of row `row` of `left`
/// (shared memory) with right(column), for all n rows and `Count` columns.
///
/// The left rows are multiplied by fold(channel) first if `Folds`; `squares[share][row]` takes the sums of their
/// squares if `Squares`.
template <int Count, bool Folds, bool Squares, class Right, class Fold>
WB_DEVICE void innerProducts(
    const unsigned char *left, Right right, Fold fold, float *products, int productRow, float *squares) {
  constexpr int across = (Count + tileColumns - 1) / tileColumns, tiles = (n + 3) / 4 * across;
  constexpr int shares = shape.shares();
  const int lane = threadIndex() % 32, share = threadIndex() / 32 % shares;
  for (int tile = threadIndex() / 32 / shares; tile < tiles; tile += warps / shares) {
    const int firstRow = tile / across * 4, firstColumn = tile % across * tileColumns;
    float sums[32] = {}, squareSums[4] = {};
#pragma unroll 1
    for (int c = (share * 32 + lane) * vector; c < C; c += shares * 32 * vector) {
      float l[tileRows][vector];
#pragma unroll
      for (int a = 0; a < tileRows; a++) {
        loadVector(rowAt(left, smaller(firstRow + a, n - 1)) + c, l[a]);
        if (Squares && firstColumn == 0) {
#pragma unroll
          for (int v = 0; v < vector; v++) squareSums[a] += l[a][v] * l[a][v];
        }
      }
      if constexpr (Folds) {
        float f[vector];
        fold(c, f);
#pragma unroll
        for (int a = 0; a < tileRows; a++)
#pragma unroll
          for (int v = 0; v < vector; v++) l[a][v] *= f[v];
      }
#pragma unroll
      for (int b = 0; b < smaller(tileColumns, Count); b++) {
        float r[vector];
        loadVector(right(smaller(firstColumn + b, Count - 1)) + c, r);
#pragma unroll
        for (int a = 0; a < tileRows; a++)
#pragma unroll
          for (int v = 0; v < vector; v++) sums[a * tileColumns + b] += l[a][v] * r[v];
      }
    }
    sumAcross<16>(sums, lane);
    const int row = firstRow + lane / tileColumns, column = firstColumn + lane % tileColumns;
    if (row < n && column < Count) products[(share * n + row) * productRow + column] = sums[0];
    if (Squares && firstColumn == 0) {
#pragma unroll
      for (int a = 0; a < tileRows; a++) {
        squareSums[a] = sumOfLanes(squareSums[a]);
        if (lane == 0 && firstRow + a < n) squares[share * n + firstRow + a] = squareSums[a];
      }
    }
  }
}

/// sums[4][vector] += the sum over i < Count of coefficient(row, i) * right(i), for four rows from `firstRow` on.
template <int Rows, int Count, class Coefficient, class Right>
WB_DEVICE void accumulate(float (&sums)[4][vector], int firstRow, int c, Coefficient coefficient, Right right) {
#pragma unroll 2
  for (int i = 0; i < Count; i++) {
    float r[vector];
    loadVector(right(i) + c, r);
#pragma unroll
    for (int a = 0; a < smaller(Rows, 4); a++) {
      const float each = coefficient(smaller(firstRow + a, Rows - 1), i);
#pragma unroll
      for (int v = 0; v < vector; v++) sums[a][v] += each * r[v];
    }
  }
}

/// Assigns every (row, first channel) of `Rows` rows to one thread: work(firstRow, c) for at most four rows each.
template <int Rows, class Work>
WB_DEVICE void forEachTile(Work work) {
  constexpr int across = C / vector;
  for (int tile = threadIndex(); tile < across * ((Rows + 3) / 4); tile += threads)
    work(tile / across * 4, tile % across * vector);
}

/// emit(row, c, sums of `vector` channels) for the rows of a tile that exist.
template <int Rows, class Emit>
WB_DEVICE void emitTile(const float (&sums)[4][vector], int firstRow, int c, Emit emit) {
#pragma unroll
  for (int a = 0; a < smaller(Rows, 4); a++)
    if (firstRow + a < Rows) emit(firstRow + a, c, sums[a]);
}

}  // namespace ckernels::cuda::plain
