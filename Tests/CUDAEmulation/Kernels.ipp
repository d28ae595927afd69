// The kernels of one kind of connection, named by the macros WB_…, and what runs them.
#define WB_FUSES_FORWARD 1
#define WB_FUSES_BACKWARD 1
#define WB_SHARED_BYTES 232448

#include "Device.hpp"
#include "device/ConnectionKernels.cuh"

namespace ckernels::cuda {

inline Weights weights(const ck_connection *c) {
  if (!c) return {};
  return {c->static_read_carry, c->static_write, c->dynamic_read_carry, c->dynamic_write, c->read_carry_scale, c->write_scale,
          c->gain,         c->epsilon};
}

inline bool runForward(
    const ck_connection *writer, const ck_connection *reader, int64_t tokens, const void *state, const void *output,
    void *nextState, void *savedWrite, void *input, int blocks) {
  const ForwardArguments arguments{weights(writer), weights(reader), state, output, nextState, savedWrite, input, tokens};
  if (!reader)
    return emulation::run(blocks, threads, Forward<true, false>::layout.bytes, [&] { connectionWrite(arguments); });
  if (!writer)
    return emulation::run(blocks, threads, Forward<false, true>::layout.bytes, [&] { connectionRead(arguments); });
  return emulation::run(blocks, threads, Forward<true, true>::layout.bytes, [&] { connectionWriteRead(arguments); });
}

inline bool runBackward(
    const ck_connection *connection, int64_t tokens, const void *state, const void *output, const void *inputGradient,
    const void *nextStateGradient, const void *previousSavedWrite, void *stateGradient, void *previousOutputGradient,
    const ck_connection_gradients *g, int blocks) {
  const std::size_t count = std::size_t(shape.sumCount());
  std::vector<float> sums(count * std::size_t(blocks)), total(count);
  const BackwardArguments arguments{weights(connection), state, output, inputGradient, nextStateGradient, previousSavedWrite,
                                    stateGradient, previousOutputGradient, sums.data(), tokens};
  if (!connection)
    return emulation::run(
        blocks, threads, Backward<false, true>::layout.bytes, [&] { connectionWriteBackward(arguments); });
  const bool isFused = previousSavedWrite != nullptr;
  const int bytes = isFused ? Backward<true, true>::layout.bytes : Backward<true, false>::layout.bytes;
  const bool isWithin = emulation::run(blocks, threads, bytes, [&] {
    isFused ? connectionBackwardWriteBackward(arguments) : connectionBackward(arguments);
  });
  const ReductionArguments reduction{weights(connection), sums.data(),      total.data(),   g->static_read_carry,
                                     g->static_write,      g->dynamic_read_carry, g->dynamic_write, g->read_carry_scale,
                                     g->write_scale,       g->gain,          blocks};
  emulation::run(2, threads, 0, [&] { connectionAddBlocks(reduction); });
  emulation::run(2, threads, 0, [&] { connectionAddToGradients(reduction); });
  return isWithin;
}

const emulation::Program program{
    {m, n, C, WB_ELEMENT_BYTES, shape.isDynamic, shape.usesTensorCores, WB_SHARED_SUMS != 0,
     shape.keepsMapsInRegisters(), WB_FORWARD_STAGES, WB_BACKWARD_STAGES},
    runForward,
    runBackward};

}  // namespace ckernels::cuda

#undef ckernels
#undef WB_RATE
#undef WB_SLOTS
#undef WB_WIDTH
#undef WB_ELEMENT_BYTES
#undef WB_DYNAMIC
#undef WB_FORWARD_STAGES
#undef WB_BACKWARD_STAGES
#undef WB_SHARED_SUMS
#undef WB_FUSES_FORWARD
#undef WB_FUSES_BACKWARD
#undef WB_SHARED_BYTES
#undef WB_DEVICE
#undef WB_KERNEL
#undef WB_ARGUMENTS
