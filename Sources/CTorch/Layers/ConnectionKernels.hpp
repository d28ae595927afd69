// The fused kernels of connections on tensors, for the device of the state: the processor or a GPU.
#pragma once

#include <string>

#include "ckernels.h"
#include "Core/Internal.hpp"
#include "CUDA/CUDAKernels.hpp"

namespace wideband {

/// The fields of `ck_connection_forward_args`. A default is null.
struct ConnectionForward {
  const ck_connection *writer = nullptr, *reader = nullptr;
  int64_t tokens = 0;
  ConstElements state, output;
  Elements nextState, savedWrite, input;
};

/// The fields of `ck_connection_backward_args`. A default is null.
struct ConnectionBackward {
  const ck_connection *connection = nullptr, *writer = nullptr;
  int64_t tokens = 0;
  ConstElements state, output, inputGradient, nextStateGradient;
  Elements stateGradient;
  const ck_connection_gradients *gradients = nullptr;
  ConstElements savedWrite;
  Elements writerOutputGradient;
};

namespace kernels {

/// Whether there are kernels for a state of this device and dtype.
bool take(const at::Tensor &state);

/// The reason why there are no kernels for such a connection on the state's device; empty where there are.
std::string refusal(const ck_connection &connection, const at::Tensor &state);

/// Runs a pass on tensors of the device and dtype of `state`; throws where the kernel fails.
void run(const ConnectionForward &pass, const at::Tensor &state);
void run(const ConnectionBackward &pass, const at::Tensor &state);

}  // namespace kernels
}  // namespace wideband
