// Coefficients from inner products: norm, tanh, scale and static part. A warp has a row, which is a slot.
namespace ckernels::cuda {

WB_DEVICE float boundedTanh(float x) { return shape.usesTensorCores ? quickTanh(x) : exactTanh(x); }

/// gain / sqrt(C) of `vector` channels, which multiplies the state instead of the maps.
struct Fold {
  const float *gain;

  WB_DEVICE void operator()(int c, float (&fold)[vector]) const {
    loadVector(gain + c, fold);
#pragma unroll
    for (int v = 0; v < vector; v++) fold[v] *= inverseRoot(float(C));
  }
};

/// The row of the dynamic maps that predicts a column of coefficients.
WB_DEVICE const float *mapRow(const Weights &weights, int column) {
  return column < mixed ? weights.dynamicReadCarry + column * C : weights.dynamicWrite + (column - mixed) * C;
}

/// The value of column `column`, slot `slot` in two tables, one for read and carry and one for write.
WB_DEVICE float tableValue(const float *readCarry, const float *write, int slot, int column) {
  return column < mixed ? readCarry[slot * mixed + column] : write[slot * m + column - mixed];
}

/// Writes the rows `first` ... `first + Count` - 1 of the folded maps, as bfloat16, to shared memory.
template <int Count>
WB_DEVICE void foldMaps(unsigned char *maps, const Weights &weights, int first) {
  for (int i = threadIndex(); i < Count * (C / 2); i += threads) {
    const int r = i / (C / 2), c = i % (C / 2) * 2;
    const float *from = mapRow(weights, first + r) + c;
    const float factor = inverseRoot(float(C));
    reinterpret_cast<unsigned *>(maps + r * shape.row())[c / 2] =
        roundedPair(from[0] * weights.gain[c] * factor, from[1] * weights.gain[c + 1] * factor);
  }
}

/// 1 / root mean square of a slot, from the partial sums of its squares.
WB_DEVICE float inverseRootMeanSquare(const float *squares, int slot, float epsilon) {
  float sum = 0.0f;
#pragma unroll
  for (int share = 0; share < shape.shares(); share++) sum += squares[share * n + slot];
  return inverseRoot(sum * (1.0f / float(C)) + epsilon);
}

/// An inner product, from its partial sums.
WB_DEVICE float innerProduct(const float *products, int productRow, int slot, int column) {
  float sum = 0.0f;
#pragma unroll
  for (int share = 0; share < shape.shares(); share++) sum += products[(share * n + slot) * productRow + column];
  return sum;
}

/// emit(slot, column, value) of the coefficients `From` ... `To` - 1; their inner products are in columns from 0 on.
template <int From, int To, class Emit>
WB_DEVICE void forEachCoefficient(
    const Weights &weights, const float *products, int productRow, const float *squares, Emit emit) {
  const int lane = threadIndex() % 32;
  for (int slot = threadIndex() / 32; slot < n; slot += warps) {
    float inverse = 0.0f;
    if constexpr (shape.isDynamic) inverse = inverseRootMeanSquare(squares, slot, weights.epsilon);
    for (int column = From + lane; column < To; column += 32) {
      float value = tableValue(weights.staticReadCarry, weights.staticWrite, slot, column);
      if constexpr (shape.isDynamic) {
        const float x = inverse * innerProduct(products, productRow, slot, column - From);
        value += tableValue(weights.readCarryScale, weights.writeScale, slot, column) * boundedTanh(x);
      }
      emit(slot, column, value);
    }
  }
}

/// A table of coefficients in shared memory, in the element type of the products.
struct Table {
  unsigned char *memory;
  int row;

  WB_DEVICE void set(int r, int column, float value) const {
    if constexpr (shape.usesTensorCores)
      reinterpret_cast<unsigned short *>(memory + r * row)[column] = roundedBits(value);
    else
      reinterpret_cast<float *>(memory + r * row)[column] = value;
  }
  WB_DEVICE float operator()(int r, int column) const {
    if constexpr (shape.usesTensorCores)
      return floatFromBits(unsigned(reinterpret_cast<const unsigned short *>(memory + r * row)[column]) << 16);
    else
      return reinterpret_cast<const float *>(memory + r * row)[column];
  }
};

}  // namespace ckernels::cuda
