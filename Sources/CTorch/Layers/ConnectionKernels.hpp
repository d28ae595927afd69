// The fused kernels of connections on tensors, for the device of the state: the processor or a GPU.
#pragma once

#include <string>

#include "ckernels.h"
#include "Core/Internal.h"

namespace wideband {
namespace kernels {

/// Whether there are kernels for a state of this device and dtype.
bool take(const at::Tensor &state);

/// The reason why there are no kernels for such a connection on the state's device; empty where there are.
std::string refusal(const ck_connection &connection, const at::Tensor &state);

// As in ckernels_connection.h. Undefined tensors are null. Throw where a kernel fails.

void read(const ck_connection &connection, int64_t tokens, const at::Tensor &state, const at::Tensor &input);

/// A write, and with a connection `next` also its read.
void write(
    const ck_connection &connection, const ck_connection *next, int64_t tokens, const at::Tensor &state,
    const at::Tensor &output, const at::Tensor &nextState, const at::Tensor &savedWrite, const at::Tensor &nextInput);

void writeBackward(
    const ck_connection &connection, int64_t tokens, const at::Tensor &savedWrite, const at::Tensor &nextStateGradient,
    const at::Tensor &outputGradient);

/// The backward pass of a connection, and with a `previous` one also that of its write.
void backward(
    const ck_connection &connection, const ck_connection *previous, int64_t tokens, const at::Tensor &state,
    const at::Tensor &output, const at::Tensor &inputGradient, const at::Tensor &nextStateGradient,
    const at::Tensor &previousSavedWrite, const at::Tensor &stateGradient, const at::Tensor &previousOutputGradient,
    const ck_connection_gradients &gradients);

}  // namespace kernels
}  // namespace wideband
