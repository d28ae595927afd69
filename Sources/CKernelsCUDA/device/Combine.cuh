// What the forward and the backward pass of a connection share: the pipeline over the tokens of a block, and the product of a
// table of coefficients with rows of channels.
namespace ckernels::cuda {

/// work(stage, token) for the tokens of a block; fetch(stage, token) copies a token's inputs to shared memory. With two stages
/// the next token's are copied during the work.
template <int Stages, class Fetch, class Work>
WB_DEVICE void forEachToken(unsigned char *shared, int stageBytes, long long tokens, Fetch fetch, Work work) {
  unsigned char *stage = shared, *other = shared + (Stages - 1) * stageBytes;
  const int step = blockCount();
  if (Stages == 2 && blockIndex() < tokens) fetch(stage, blockIndex());
  endCopies();
  for (long long token = blockIndex(); token < tokens; token += step) {
    const long long following = Stages == 2 ? token + step : token;
    if (following < tokens) fetch(other, following);
    endCopies();
    waitForCopies<Stages - 1>();
    waitForBlock();
    work(stage, token);
    waitForBlock();
    unsigned char *const done = stage;
    stage = other;
    other = done;
  }
}

/// result [Rows, C] = table [Rows, Count] times `rows` [Count, C] in shared memory. `coefficient(row, i)` is an element of the
/// table. `copy` gets the result in shared memory; it is null for no copy, but tensor cores need one. It may be `rows`.
template <int Rows, int Count, class Coefficient>
WB_DEVICE void combineRows(
    const unsigned char *table, int tableRow, Coefficient coefficient, const unsigned char *rows,
    const unsigned char *zeros, Element *result, unsigned char *copy) {
  if constexpr (shape.usesTensorCores) {
    tensor::combine<Rows, (Count + 15) / 16>(
        table, tableRow, [=](int i) { return i < Count ? rows + i * shape.row() : zeros; },
        [=](int r, int c, float first, float second) {
          *reinterpret_cast<unsigned *>(copy + r * shape.row() + c * 2) = roundedPair(first, second);
        });
    waitForBlock();
    storeRows<Rows>(result, copy);
  } else {
    plain::forEachTile<Rows>([=](int row, int c) {
      float sums[4][vector] = {};
      plain::accumulate<Rows, Count>(sums, row, c, coefficient, [=](int i) { return rowAt(rows, i); });
      plain::emitTile<Rows>(sums, row, c, [=](int r, int c, const float(&values)[vector]) {
        storeVector(result + r * C + c, values);
        if (copy) storeVector(rowAt(copy, r) + c, values);
      });
    });
  }
}

}  // namespace ckernels::cuda
