// A hyper-connection through the fused kernels as two autograd functions, one before the sublayer and one after.
//
// The backward pass of the whole connection needs the gradients of the sublayer's input and of the next state
// together. The write's backward comes first: it leaves the next state's gradient in the pending write, and passes on
// only the gradient of the sublayer's output. The read's backward comes when the sublayer's is done, and does the rest
// in one pass over the state.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <array>

#include "Internal.h"
#include "ckernels.h"

namespace wideband {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Static alpha and beta, dynamic alpha and beta, their scales, and the gain; the last five undefined when static.
using Weights = std::array<at::Tensor, 7>;

/// What a connection's read leaves for its write, and the write's backward for the read's.
struct Pending : torch::CustomClassHolder {
  Weights weights;
  double epsilon = 0;
  at::Tensor state;
  at::Tensor output;
  at::Tensor beta;
  at::Tensor nextGradient;

  int64_t slots() const { return state.size(-2); }
  int64_t width() const { return state.size(-1); }
  int64_t rate() const { return weights[1].size(1); }
  int64_t tokens() const { return state.numel() / (slots() * width()); }

  ck_connection kernel() const {
    return {rate(), slots(), width(), static_cast<float>(epsilon), data(weights[0]), data(weights[1]),
            data(weights[2]), data(weights[3]), data(weights[4]), data(weights[5]), data(weights[6])};
  }

  /// The shape of a sublayer's input and output.
  std::vector<int64_t> narrow() const {
    auto shape = state.sizes().vec();
    shape.pop_back();
    shape.back() = rate() * width();
    return shape;
  }
};

using PendingPointer = c10::intrusive_ptr<Pending>;

PendingPointer pending(AutogradContext *context) {
  return c10::static_intrusive_pointer_cast<Pending>(context->saved_data["pending"].toCapsule());
}

void remember(AutogradContext *context, const PendingPointer &pending) {
  context->saved_data["pending"] = c10::IValue::make_capsule(pending);
}

void require(bool succeeded) { TORCH_CHECK(succeeded, "the kernel refused the sizes or had no memory"); }

struct Read : torch::autograd::Function<Read> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &state, const at::Tensor &, const at::Tensor &, const at::Tensor &,
      const at::Tensor &, const at::Tensor &, const at::Tensor &, const at::Tensor &, const PendingPointer &pending) {
    remember(context, pending);
    auto input = at::empty(pending->narrow(), state.options());
    auto kernel = pending->kernel();
    require(ck_connection_read(
        &kernel, pending->tokens(), data(state), mutableData(input), at::get_num_threads()));
    return input;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = pending(context);
    TORCH_CHECK(saved->nextGradient.defined(), "a connection's backward pass ran twice, or its write never did");
    auto inputGradient = gradients[0].contiguous();
    auto stateGradient = at::empty_like(saved->state);
    variable_list results{stateGradient};
    ck_connection_gradients targets{};
    std::array<float **, 7> places{&targets.static_alpha,  &targets.static_beta, &targets.dynamic_alpha,
                                   &targets.dynamic_beta,  &targets.alpha_scale, &targets.beta_scale,
                                   &targets.gain};
    for (size_t i = 0; i < places.size(); i++) {
      const at::Tensor &weight = saved->weights[i];
      results.push_back(weight.defined() ? at::zeros_like(weight) : at::Tensor());
      if (weight.defined()) *places[i] = mutableData(results.back());
    }
    auto kernel = saved->kernel();
    require(ck_connection_backward(
        &kernel, saved->tokens(), data(saved->state), data(saved->output), data(inputGradient),
        data(saved->nextGradient), mutableData(stateGradient), &targets, at::get_num_threads()));
    saved->nextGradient.reset();
    saved->output.reset();
    results.emplace_back();
    return results;
  }
};

struct Write : torch::autograd::Function<Write> {
  /// `input` is what the read gave: its node must run after this one even where the sublayer did not look at it.
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &output, const at::Tensor & /*input*/, const PendingPointer &pending,
      bool isRecording) {
    remember(context, pending);
    auto next = at::empty_like(pending->state);
    auto kernel = pending->kernel();
    float *beta = nullptr;
    if (isRecording) {
      pending->output = output.detach();
      pending->beta = at::empty({pending->tokens(), pending->rate(), pending->slots()}, next.options());
      beta = mutableData(pending->beta);
    }
    require(ck_connection_write(
        &kernel, pending->tokens(), data(pending->state), data(output), mutableData(next), beta,
        at::get_num_threads()));
    return next;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = pending(context);
    saved->nextGradient = gradients[0].contiguous();
    auto outputGradient = at::empty(saved->narrow(), saved->state.options());
    auto kernel = saved->kernel();
    require(ck_connection_write_backward(
        &kernel, saved->tokens(), nullptr, data(saved->beta), data(saved->nextGradient),
        mutableData(outputGradient), at::get_num_threads()));
    saved->beta.reset();
    return {outputGradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

bool isSupported(const at::Tensor &tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat;
}

/// The kernels trust the sizes they are told: weights that do not fit the state go no further.
void requireFitting(const Pending &pending) {
  const auto &weights = pending.weights;
  TORCH_CHECK(
      weights[1].dim() == 2 && weights[1].size(1) > 0, "static_beta ", weights[1].sizes(), " is no matrix [n, m]");
  const int64_t m = pending.rate(), n = pending.slots(), C = pending.width();
  const std::pair<const char *, std::vector<int64_t>> expected[] = {
      {"static_alpha", {n, m + n}}, {"static_beta", {n, m}},     {"dynamic_alpha", {m + n, C}},
      {"dynamic_beta", {m, C}},     {"alpha_scale", {n, m + n}}, {"beta_scale", {n, m}},
      {"norm.weight", {C}}};
  for (size_t i = 0; i < weights.size(); i++) {
    TORCH_CHECK(
        weights[i].defined() || (i > 1 && !weights[2].defined()), expected[i].first, " is missing");
    TORCH_CHECK(
        !weights[i].defined() || weights[i].sizes() == at::IntArrayRef(expected[i].second), expected[i].first, " ",
        weights[i].sizes(), " does not fit the state: expected ", at::IntArrayRef(expected[i].second));
  }
}

}  // namespace
}  // namespace wideband

struct wb_pending_write {
  wideband::PendingPointer value;
  at::Tensor input;
};

bool wb_connection_is_supported(const wb_tensor *state) {
  // A slot of one channel normalises to its sign: the kernels' form of the derivative would be all cancellation.
  return wideband::isSupported(state->value) && state->value.dim() > 1 && state->value.size(-1) > 1;
}

wb_tensor *wb_connection_read(
    const wb_tensor *const weights[7], double epsilon, const wb_tensor *state, wb_pending_write **pending) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    auto value = c10::make_intrusive<wideband::Pending>();
    wideband::Weights tracked;
    // An autograd function takes no undefined tensor: what a static connection lacks is empty instead.
    tracked.fill(at::empty({0}));
    for (size_t i = 0; i < tracked.size(); i++) {
      if (!weights[i]) continue;
      TORCH_CHECK(wideband::isSupported(weights[i]->value), "weights are float32 on the processor");
      tracked[i] = weights[i]->value.contiguous();
      value->weights[i] = tracked[i].detach();
    }
    auto contiguous = state->value.contiguous();
    value->epsilon = epsilon;
    value->state = contiguous.detach();
    wideband::requireFitting(*value);
    auto input = wideband::Read::apply(
        contiguous, tracked[0], tracked[1], tracked[2], tracked[3], tracked[4], tracked[5], tracked[6], value);
    *pending = new wb_pending_write{value, input};
    return wideband::handle(input);
  });
}

wb_tensor *wb_connection_write(const wb_pending_write *pending, const wb_tensor *output) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    auto contiguous = output->value.contiguous();
    TORCH_CHECK(
        wideband::isSupported(contiguous) && contiguous.sizes().vec() == pending->value->narrow(),
        "the sublayer's output ", contiguous.sizes(), " does not match its input");
    const at::Tensor &input = pending->input;
    bool isRecording = at::GradMode::is_enabled() && (contiguous.requires_grad() || input.requires_grad());
    return wideband::handle(wideband::Write::apply(contiguous, input, pending->value, isRecording));
  });
}

void wb_pending_write_release(wb_pending_write *pending) { delete pending; }
