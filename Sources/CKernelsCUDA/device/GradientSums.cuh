// The gradients of a connection's parameters, summed over the tokens of a block: in registers, in shared memory, or where
// they do not fit, in the GPU's memory.
namespace ckernels::cuda {

/// A thread's part of the maps' gradients, in registers across tokens where there are enough.
typedef float MapSums[tensor::mapRows][tensor::warpTiles][4];

struct GradientSums {
  static constexpr int coefficientCount = shape.sumCount() - shape.mapCount();
  float *const target;  ///< the block's sums in the GPU's memory
  float *maps, *coefficients;

  /// `sharedCoefficients`, `sharedMaps`: where they are if they are in shared memory.
  WB_DEVICE GradientSums(
      const BackwardArguments &arguments, unsigned char *sharedCoefficients, unsigned char *sharedMaps)
      : target(arguments.sums + (long long)blockIndex() * shape.sumCount()), maps(target),
        coefficients(target + shape.mapCount()) {
    if constexpr (WB_SHARED_SUMS) {
      coefficients = reinterpret_cast<float *>(sharedCoefficients);
      if constexpr (!shape.keepsMapsInRegisters()) maps = reinterpret_cast<float *>(sharedMaps);
    }
  }

  WB_DEVICE void clear() const {
    for (int i = threadIndex(); i < coefficientCount; i += threads) coefficients[i] = 0.0f;
    if constexpr (!shape.keepsMapsInRegisters())
      for (int i = threadIndex(); i < shape.mapCount(); i += threads) maps[i] = 0.0f;
    waitForBlock();
  }

  /// The maps' gradients of a token: q [n, columns] in `table`, transposed, times the state.
  WB_DEVICE void addMaps(MapSums &sums, const Table &table, const unsigned char *state) const {
    if constexpr (!shape.isDynamic) {
      return;
    } else if constexpr (shape.usesTensorCores) {
      tensor::accumulateMaps(sums, table.memory, table.row, [=](int r) { return state + r * shape.row(); });
      if constexpr (!shape.keepsMapsInRegisters()) {
        tensor::forEachMapSum(sums, [this](int column, int c, float &sum) {
          maps[column * C + c] += sum;
          sum = 0.0f;
        });
      }
    } else {
      plain::forEachTile<columns>([=](int column, int c) {
        float sums[4][vector] = {};
        plain::accumulate<columns, n>(
            sums, column, c, [=](int k, int slot) { return table(slot, k); }, [=](int i) { return rowAt(state, i); });
        plain::emitTile<columns>(sums, column, c, [=](int k, int c, const float(&values)[vector]) {
#pragma unroll
          for (int v = 0; v < vector; v++) maps[k * C + c + v] += values[v];
        });
      });
    }
  }

  /// Stores the block's sums for the reduction.
  WB_DEVICE void storeSums(MapSums &sums) const {
    if constexpr (shape.keepsMapsInRegisters())
      tensor::forEachMapSum(sums, [this](int column, int c, float sum) { target[column * C + c] = sum; });
    if constexpr (WB_SHARED_SUMS) {
      if constexpr (!shape.keepsMapsInRegisters())
        for (int i = threadIndex(); i < shape.mapCount(); i += threads) target[i] = maps[i];
      for (int i = threadIndex(); i < coefficientCount; i += threads) target[shape.mapCount() + i] = coefficients[i];
    }
  }
};

}  // namespace ckernels::cuda
