// The kernels of connections, by the names that the host looks up.
#include "ConnectionLayout.cuh"
#include "Device.cuh"
#include "Numerics.cuh"
#include "StateRows.cuh"
#include "PlainProducts.cuh"
#include "TensorProducts.cuh"
#include "Coefficients.cuh"
#include "Combine.cuh"
#include "Forward.cuh"
#include "GradientSums.cuh"
#include "Backward.cuh"
#include "Reduction.cuh"

namespace ckernels::cuda {

/// The blocks for which a multiprocessor has shared memory, limited by their registers.
constexpr int blocksFor(int bytes, int maximum) { return larger(smaller(WB_SHARED_BYTES / bytes, maximum), 1); }

template <bool Writes, bool Reads>
constexpr int forwardBlocks() {
  return blocksFor(Forward<Writes, Reads>::layout.bytes, shape.usesTensorCores ? 2 : 384 / threads);
}

template <bool IsWhole, bool HasPrevious>
constexpr int backwardBlocks() {
  const int maximum = !IsWhole ? 384 / threads : shape.usesTensorCores ? 1 : 256 / threads;
  return blocksFor(Backward<IsWhole, HasPrevious>::layout.bytes, maximum);
}

WB_KERNEL((forwardBlocks<false, true>())) connectionRead(const ForwardArguments arguments) {
  Forward<false, true>(arguments).run();
}
WB_KERNEL((forwardBlocks<true, false>())) connectionWrite(const ForwardArguments arguments) {
  Forward<true, false>(arguments).run();
}
WB_KERNEL((backwardBlocks<false, true>())) connectionWriteBackward(const BackwardArguments arguments) {
  Backward<false, true>(arguments).run();
}
WB_KERNEL((backwardBlocks<true, false>())) connectionBackward(const BackwardArguments arguments) {
  Backward<true, false>(arguments).run();
}
WB_KERNEL(1) connectionAddBlocks(const ReductionArguments arguments) { addBlocks(arguments); }
WB_KERNEL(1) connectionAddToGradients(const ReductionArguments arguments) { addToGradients(arguments); }
#if WB_FUSES_FORWARD
WB_KERNEL((forwardBlocks<true, true>())) connectionWriteRead(const ForwardArguments arguments) {
  Forward<true, true>(arguments).run();
}
#endif
#if WB_FUSES_BACKWARD
WB_KERNEL((backwardBlocks<true, true>())) connectionBackwardWriteBackward(const BackwardArguments arguments) {
  Backward<true, true>(arguments).run();
}
#endif

}  // namespace ckernels::cuda
