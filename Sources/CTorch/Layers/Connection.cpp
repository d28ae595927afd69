// A hyper-connection through the fused kernels as two autograd functions, one before the sublayer and one after;
// between two connections one function is the write of the first and the read of the second.
//
// The backward pass of the whole connection needs the gradients of the sublayer's input and of the next state together. The
// backward function of the write runs first: it stores the next state's gradient in the pending write and returns only the
// gradient of the sublayer's output. That of the read runs after the sublayer's and does the rest in one pass over the state.
#include "Layers/PendingWrite.hpp"

namespace wideband {
namespace {

/// The read of a sublayer's input from a state.
struct Read : torch::autograd::Function<Read> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &state, at::TensorList /*weights*/,
      const PendingWritePointer &pending) {
    savePending(context, "pending", pending);
    auto input = at::empty(pending->inputShape(), state.options());
    const auto reader = pending->kernel();
    kernels::run({.reader = &reader, .tokens = pending->tokens(), .state = state, .input = input}, state);
    return input;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    variable_list results(1);
    auto weights = finishBackward(*restorePending(context, "pending"), gradients[0], results[0], nullptr, nullptr);
    results.insert(results.end(), weights.begin(), weights.end());
    results.emplace_back();
    return results;
  }
};

/// The write of a sublayer's output. `input` is the result of the read: its backward function must run after this one even
/// where the sublayer did not use it.
struct Write : torch::autograd::Function<Write> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &output, const at::Tensor & /*input*/,
      const PendingWritePointer &pending, bool isTracked) {
    savePending(context, "pending", pending);
    auto next = at::empty_like(pending->state);
    if (isTracked) pending->save(output);
    pending->write(output, next);
    return next;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = restorePending(context, "pending");
    saved->nextGradient = prepared(gradients[0]);
    auto outputGradient = at::empty(saved->inputShape(), saved->state.options());
    const auto writer = saved->kernel();
    kernels::run(
        {.writer = &writer,
         .tokens = saved->tokens(),
         .nextStateGradient = saved->nextGradient,
         .savedWrite = saved->savedWrite,
         .writerOutputGradient = outputGradient},
        saved->state);
    saved->savedWrite.reset();
    return {outputGradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

/// The write of a sublayer's output and the read of the next sublayer's input in one pass; only the two connections have the
/// state between them and its gradient.
struct WriteRead : torch::autograd::Function<WriteRead> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &output, const at::Tensor & /*input*/, at::TensorList /*weights*/,
      const PendingWritePointer &pending, const PendingWritePointer &next, bool isTracked) {
    savePending(context, "pending", pending);
    savePending(context, "next", next);
    next->state = at::empty_like(pending->state);
    auto input = at::empty(next->inputShape(), output.options());
    if (isTracked) pending->save(output);
    const auto reader = next->kernel();
    pending->write(output, next->state, &reader, input);
    return input;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = restorePending(context, "pending"), next = restorePending(context, "next");
    variable_list results(2);
    // Autograd does not track the write where nothing before it is trained: then only the gradients of the next connection count.
    const bool hasWrite = saved->savedWrite.defined();
    auto weights = finishBackward(
        *next, gradients[0], saved->nextGradient, hasWrite ? saved.get() : nullptr, hasWrite ? &results[0] : nullptr);
    saved->ownsNextGradient = saved->state.is_cpu();
    saved->savedWrite.reset();
    results.insert(results.end(), weights.begin(), weights.end());
    results.resize(results.size() + 3);
    return results;
  }
};

}  // namespace
}  // namespace wideband

using namespace wideband;

struct wb_pending_write {
  PendingWritePointer value;
  at::Tensor input;
  bool isClosed = false;

  /// The sublayer's output, checked; the backward pass supports one write for each read.
  at::Tensor close(const wb_tensor *output) {
    auto contiguous = prepared(output->value);
    TORCH_CHECK(
        contiguous.device() == value->state.device() && contiguous.scalar_type() == value->state.scalar_type() &&
            contiguous.sizes().vec() == value->inputShape(),
        "the sublayer's output ", contiguous.sizes(), " does not match its input");
    TORCH_CHECK(!isClosed, "a connection's write ran twice");
    isClosed = true;
    return contiguous;
  }

  bool isTracked(const at::Tensor &output) const { return requiresGradient(output, input); }
};

bool wb_connection_is_supported(const wb_tensor *const weights[7], const wb_tensor *state) {
  return guarded(false, [&] {
    const at::Tensor &value = state->value;
    // A slot of one channel normalizes to its sign: the kernels' formula for the derivative would only cancel.
    if (value.dim() < 2 || value.size(-1) < 2) return false;
    if (!kernels::take(value)) {
      if (!value.is_cpu())
        reportRefusal(
            "connections", c10::str("there are no kernels for ", value.scalar_type(), " on ", value.device()));
      return false;
    }
    if (!weights[1] || weights[1]->value.dim() != 2) return true;
    ck_connection kind{weights[1]->value.size(1), value.size(-2), value.size(-1)};
    if (weights[2]) kind.dynamic_read_carry = data(weights[2]->value);
    const std::string reason = kernels::refusal(kind, value);
    if (!reason.empty()) reportRefusal("connections", reason);
    return reason.empty();
  });
}

wb_tensor *wb_connection_read(
    const wb_tensor *const weights[7], double epsilon, const wb_tensor *state, wb_pending_write **pending) {
  return guardedTensor([&] {
    auto contiguous = prepared(state->value);
    ConnectionWeights tracked;
    auto value = pendingWrite(weights, epsilon, contiguous.detach(), tracked);
    auto input = Read::apply(contiguous, at::TensorList(tracked), value);
    *pending = new wb_pending_write{value, input};
    return input;
  });
}

wb_tensor *wb_connection_write(wb_pending_write *pending, const wb_tensor *output) {
  return guardedTensor([&] {
    auto contiguous = pending->close(output);
    return Write::apply(contiguous, pending->input, pending->value, pending->isTracked(contiguous));
  });
}

wb_tensor *wb_connection_write_read(
    wb_pending_write *pending, const wb_tensor *output, const wb_tensor *const weights[7], double epsilon,
    wb_pending_write **next) {
  return guardedTensor([&] {
    ConnectionWeights tracked;
    auto value = pendingWrite(weights, epsilon, pending->value->state, tracked);
    TORCH_CHECK(value->rate() == pending->value->rate(), "two neighboring connections have different fraction rates");
    auto contiguous = pending->close(output);
    auto input = WriteRead::apply(
        contiguous, pending->input, at::TensorList(tracked), pending->value, value, pending->isTracked(contiguous));
    *next = new wb_pending_write{value, input};
    return input;
  });
}

void wb_pending_write_release(wb_pending_write *pending) { delete pending; }
