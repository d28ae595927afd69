// The gradients of a connection's parameters: the sums of all blocks added in order, so that a result never depends on
// timing, and converted from folded maps to parameters.
namespace ckernels::cuda {

/// total[i] = the sum of element i over the blocks.
WB_DEVICE void addBlocks(const ReductionArguments &arguments) {
  for (int i = blockIndex() * threads + threadIndex(); i < shape.sumCount(); i += blockCount() * threads) {
    float sum = 0.0f;
#pragma unroll 8
    for (int block = 0; block < arguments.blocks; block++)
      sum += arguments.sums[(long long)block * shape.sumCount() + i];
    arguments.total[i] = sum;
  }
}

WB_DEVICE void addTo(float *gradient, int index, float value) {
  if (gradient) gradient[index] += value;
}

/// Adds element `i` of a table [n, k] to the gradients of its two parameters.
WB_DEVICE void addTable(int i, float value, float *readCarry, float *write) {
  const int slot = i / columns, column = i % columns;
  if (column < mixed)
    addTo(readCarry, slot * mixed + column, value);
  else
    addTo(write, slot * m + column - mixed, value);
}

/// The gradients are those of the folded maps: dynamic maps times gain / sqrt(C).
WB_DEVICE void addMap(const ReductionArguments &arguments, int i) {
  const int column = i / C, c = i % C;
  const float value = arguments.total[i] * arguments.connection.gain[c] * inverseRoot(float(C));
  if (column < mixed)
    addTo(arguments.dynamicReadCarry, i, value);
  else
    addTo(arguments.dynamicWrite, i - mixed * C, value);
}

WB_DEVICE void addGain(const ReductionArguments &arguments, int c) {
  float sum = 0.0f;
  for (int column = 0; column < columns; column++)
    sum += arguments.total[column * C + c] * mapRow(arguments.connection, column)[c];
  addTo(arguments.gain, c, sum * inverseRoot(float(C)));
}

/// Adds the sums of all blocks to the gradients.
WB_DEVICE void addToGradients(const ReductionArguments &arguments) {
  constexpr int maps = shape.mapCount(), table = shape.tableCount(), gains = shape.isDynamic ? C : 0;
  for (int i = blockIndex() * threads + threadIndex(); i < shape.sumCount() + gains; i += blockCount() * threads) {
    if (i >= shape.sumCount())
      addGain(arguments, i - shape.sumCount());
    else if (i < maps)
      addMap(arguments, i);
    else if (i < maps + table)
      addTable(i - maps, arguments.total[i], arguments.staticReadCarry, arguments.staticWrite);
    else
      addTable(i - maps - table, arguments.total[i], arguments.readCarryScale, arguments.writeScale);
  }
}

}  // namespace ckernels::cuda
