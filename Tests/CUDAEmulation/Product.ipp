// The kernels that multiply up to WB_ROWS rows with a weight of format WB_FORMAT, and what runs them.
#include "Device.hpp"
#include "device/Product.cuh"

namespace ckernels::cuda {

inline bool runProduct(
    const ck_matrix *matrices, int count, int64_t rows, const void *x, const float *gain, float epsilon,
    const void *residual, void *y, int sharedBytes, int blocks) {
  ProductArguments arguments{};
  int counter = 7;
  for (int each = 0; each < count; each++)
    arguments.matrices[each] = {matrices[each].values, matrices[each].scales, matrices[each].outputs};
  arguments.x = x;
  arguments.gain = gain;
  arguments.residual = residual;
  arguments.y = y;
  arguments.counters = &counter;
  arguments.inputs = matrices[0].inputs;
  arguments.rows = int(rows);
  arguments.counterCount = 1;
  arguments.slice = product::shape.sliceFor(int(rows), arguments.inputs, sharedBytes);
  arguments.epsilon = epsilon;
  const int bytes = product::shape.bytes(int(rows), arguments.slice);
  const bool isWithin = emulation::run(blocks, product::threads, bytes, [&] {
    count == 1 ? product::skinnyGEMM(arguments)
    : count == 2 ? product::skinnyGates(arguments)
                 : product::skinnyProjections(arguments);
  });
  return isWithin && counter == 0 && bytes <= sharedBytes;
}

const emulation::ProductProgram program{WB_FORMAT, WB_ELEMENT_BYTES, WB_ROWS, runProduct};

}  // namespace ckernels::cuda

#undef ckernels
#undef WB_FORMAT
#undef WB_ELEMENT_BYTES
#undef WB_ROWS
#undef WB_DEVICE
#undef WB_KERNEL
#undef WB_ARGUMENTS
