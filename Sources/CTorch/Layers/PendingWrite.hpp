// A hyper-connection whose read is done and whose write is not.
#pragma once

#include <torch/custom_class.h>

#include <array>
#include <vector>

#include "Core/AutogradFunction.hpp"
#include "Layers/ConnectionKernels.hpp"

namespace wideband {

/// The static tables of read and carry and of write, the dynamic maps of both, their scales, and the gain; the last five are
/// undefined for a static connection.
using ConnectionWeights = std::array<at::Tensor, 7>;

/// A connection after its read: the inputs of its write, and the tensors that both backward functions share.
struct PendingWrite : torch::CustomClassHolder {
  ConnectionWeights weights;
  double epsilon = 0;
  at::Tensor state;
  at::Tensor output;
  at::Tensor savedWrite;
  at::Tensor projections;
  at::Tensor nextGradient;
  bool ownsNextGradient = false;  ///< whether the kernel may overwrite it with the state's gradient

  int64_t slots() const { return state.size(-2); }
  int64_t width() const { return state.size(-1); }
  int64_t rate() const { return weights[1].size(1); }
  int64_t tokens() const { return state.numel() / (slots() * width()); }

  ck_connection kernel() const {
    return {rate(),           slots(),
            width(),          static_cast<float>(epsilon),
            data(weights[0]), data(weights[1]),
            data(weights[2]), data(weights[3]),
            data(weights[4]), data(weights[5]),
            data(weights[6]), projections.defined() ? mutableData(projections) : nullptr};
  }

  /// Allocates the projections that the forward pass saves.
  void allocateProjections() {
    if (!state.is_cpu() || !at::GradMode::is_enabled()) return;
    const auto connection = kernel();
    const int64_t count = ck_connection_projection_count(&connection, tokens());
    if (count > 0) projections = at::empty({count}, state.options());
  }

  /// Saves the output for the backward pass and allocates the write coefficients that the kernel saves.
  void save(const at::Tensor &written) {
    output = written.detach();
    savedWrite = at::empty({tokens(), rate(), slots()}, state.options());
  }

  /// The write of `written`, and with a `reader` in the same pass its read of `input`.
  void write(
      const at::Tensor &written, const at::Tensor &nextState, const ck_connection *reader = nullptr,
      const at::Tensor &input = {}) const {
    const auto writer = kernel();
    kernels::run(
        {.writer = &writer,
         .reader = reader,
         .tokens = tokens(),
         .state = state,
         .output = written,
         .nextState = nextState,
         .savedWrite = savedWrite,
         .input = input},
        state);
  }

  /// The shape of a sublayer's input and output.
  std::vector<int64_t> inputShape() const {
    auto shape = state.sizes().vec();
    shape.pop_back();
    shape.back() = rate() * width();
    return shape;
  }
};

using PendingWritePointer = c10::intrusive_ptr<PendingWrite>;

/// The pending write that autograd saved in a context under a name.
PendingWritePointer restorePending(AutogradContext *context, const char *name);
void savePending(AutogradContext *context, const char *name, const PendingWritePointer &pending);

/// The second half of a connection's backward pass, after that of its sublayer. Returns the gradients of the weights; stores
/// that of the state in `stateGradient`, and with a `previous` connection, whose write produced the state, that of the
/// previous sublayer's output.
variable_list finishBackward(
    PendingWrite &connection, const at::Tensor &inputGradient, at::Tensor &stateGradient, const PendingWrite *previous,
    at::Tensor *previousOutputGradient);

/// The pending write of a connection with these weights; `tracked` are the weights for autograd.
PendingWritePointer pendingWrite(
    const wb_tensor *const weights[7], double epsilon, const at::Tensor &state, ConnectionWeights &tracked);

}  // namespace wideband
