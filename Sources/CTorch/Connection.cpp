// A hyper-connection through the fused kernels as two autograd functions, one before the sublayer and one after;
// between two connections one function is the write of the first and the read of the second.
//
// The backward pass of the whole connection needs the gradients of the sublayer's input and of the next state
// together. The write's backward comes first: it leaves the next state's gradient in the pending write, and passes on
// only the gradient of the sublayer's output. The read's backward comes when the sublayer's is done, and does the rest
// in one pass over the state.
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <array>

#include "CUDAKernels.hpp"
#include "ConnectionKernels.hpp"

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
  at::Tensor projections;
  at::Tensor nextGradient;
  bool ownsNextGradient = false;  ///< whether nobody else sees it and the kernel lets the state's take its place

  int64_t slots() const { return state.size(-2); }
  int64_t width() const { return state.size(-1); }
  int64_t rate() const { return weights[1].size(1); }
  int64_t tokens() const { return state.numel() / (slots() * width()); }

  ck_connection kernel() const {
    return {rate(), slots(), width(), static_cast<float>(epsilon), data(weights[0]), data(weights[1]),
            data(weights[2]), data(weights[3]), data(weights[4]), data(weights[5]), data(weights[6]),
            projections.defined() ? mutableData(projections) : nullptr};
  }

  /// A place for the projections that read and write leave for the backward pass.
  void makePlaceForProjections() {
    if (!state.is_cpu() || !at::GradMode::is_enabled()) return;
    const auto connection = kernel();
    const int64_t count = ck_connection_projections(&connection, tokens());
    if (count > 0) projections = at::empty({count}, state.options());
  }

  /// Keeps what the backward pass needs of a write, with a place for the write coefficients.
  void keep(const at::Tensor &written) {
    output = written.detach();
    beta = at::empty({tokens(), rate(), slots()}, state.options());
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

PendingPointer recall(AutogradContext *context, const char *name) {
  return c10::static_intrusive_pointer_cast<Pending>(context->saved_data[name].toCapsule());
}

void remember(AutogradContext *context, const char *name, const PendingPointer &pending) {
  context->saved_data[name] = c10::IValue::make_capsule(pending);
}

/// The gradients of a connection's weights, in their order, to which the kernel adds.
variable_list weightGradients(const Weights &weights, ck_connection_gradients &targets) {
  variable_list gradients;
  std::array<float **, 7> places{&targets.static_alpha,  &targets.static_beta, &targets.dynamic_alpha,
                                 &targets.dynamic_beta,  &targets.alpha_scale, &targets.beta_scale,
                                 &targets.gain};
  for (size_t i = 0; i < places.size(); i++) {
    gradients.push_back(weights[i].defined() ? at::zeros_like(weights[i]) : at::Tensor());
    if (weights[i].defined()) *places[i] = mutableData(gradients.back());
  }
  return gradients;
}

/// Second half of a connection's backward pass, when its sublayer's is done. The gradient of its state becomes
/// `stateGradient`; with a `previous` connection, whose write gave that state, also its sublayer's output's gradient.
variable_list finish(
    Pending &connection, const at::Tensor &inputGradient, at::Tensor &stateGradient, const Pending *previous,
    at::Tensor *previousOutputGradient) {
  TORCH_CHECK(connection.nextGradient.defined(), "a connection's backward pass ran twice, or its write never did");
  auto upstream = prepared(inputGradient);
  stateGradient = connection.ownsNextGradient ? connection.nextGradient : at::empty_like(connection.state);
  ck_connection_gradients targets{};
  auto gradients = weightGradients(connection.weights, targets);
  auto kernel = connection.kernel();
  ck_connection writer{};
  if (previous) {
    writer = previous->kernel();
    *previousOutputGradient = at::empty(previous->narrow(), upstream.options());
  }
  kernels::backward(
      kernel, previous ? &writer : nullptr, connection.tokens(), connection.state, connection.output, upstream,
      connection.nextGradient, previous ? previous->beta : at::Tensor(), stateGradient,
      previous ? *previousOutputGradient : at::Tensor(), targets);
  connection.nextGradient.reset();
  connection.output.reset();
  connection.projections.reset();
  connection.state.reset();
  return gradients;
}

/// Reads a sublayer's input out of a state.
struct Read : torch::autograd::Function<Read> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &state, const at::Tensor &, const at::Tensor &, const at::Tensor &,
      const at::Tensor &, const at::Tensor &, const at::Tensor &, const at::Tensor &, const PendingPointer &pending) {
    remember(context, "pending", pending);
    auto input = at::empty(pending->narrow(), state.options());
    kernels::read(pending->kernel(), pending->tokens(), state, input);
    return input;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    variable_list results(1);
    auto weights = finish(*recall(context, "pending"), gradients[0], results[0], nullptr, nullptr);
    results.insert(results.end(), weights.begin(), weights.end());
    results.emplace_back();
    return results;
  }
};

/// Writes a sublayer's output. `input` is what the read gave: its node must run after this one even where the
/// sublayer did not look at it.
struct Write : torch::autograd::Function<Write> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &output, const at::Tensor & /*input*/, const PendingPointer &pending,
      bool isRecording) {
    remember(context, "pending", pending);
    auto next = at::empty_like(pending->state);
    if (isRecording) pending->keep(output);
    kernels::write(
        pending->kernel(), nullptr, pending->tokens(), pending->state, output, next, pending->beta, at::Tensor());
    return next;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = recall(context, "pending");
    saved->nextGradient = prepared(gradients[0]);
    auto outputGradient = at::empty(saved->narrow(), saved->state.options());
    kernels::writeBackward(saved->kernel(), saved->tokens(), saved->beta, saved->nextGradient, outputGradient);
    saved->beta.reset();
    return {outputGradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

/// Writes a sublayer's output and reads the next sublayer's input in one pass; the state between them is known to the
/// two connections alone, and so is its gradient.
struct WriteRead : torch::autograd::Function<WriteRead> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &output, const at::Tensor & /*input*/, const at::Tensor &,
      const at::Tensor &, const at::Tensor &, const at::Tensor &, const at::Tensor &, const at::Tensor &,
      const at::Tensor &, const PendingPointer &pending, const PendingPointer &next, bool isRecording) {
    remember(context, "pending", pending);
    remember(context, "next", next);
    next->state = at::empty_like(pending->state);
    auto input = at::empty(next->narrow(), output.options());
    if (isRecording) pending->keep(output);
    const auto reader = next->kernel();
    kernels::write(
        pending->kernel(), &reader, pending->tokens(), pending->state, output, next->state, pending->beta, input);
    return input;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = recall(context, "pending"), next = recall(context, "next");
    variable_list results(2);
    auto weights = finish(*next, gradients[0], saved->nextGradient, saved.get(), &results[0]);
    saved->ownsNextGradient = saved->state.is_cpu();
    saved->beta.reset();
    results.insert(results.end(), weights.begin(), weights.end());
    results.resize(results.size() + 3);
    return results;
  }
};

/// Whether a connection's weights are ones that the kernels take with such a state.
bool fits(const at::Tensor &weight, const at::Tensor &state) {
  return weight.device() == state.device() && weight.scalar_type() == at::kFloat;
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

/// What a connection with these weights leaves for its write; `tracked` are the weights as autograd sees them.
PendingPointer opened(const wb_tensor *const weights[7], double epsilon, const at::Tensor &state, Weights &tracked) {
  auto pending = c10::make_intrusive<Pending>();
  // An autograd function takes no undefined tensor: what a static connection lacks is empty instead.
  tracked.fill(at::empty({0}));
  for (size_t i = 0; i < tracked.size(); i++) {
    if (!weights[i]) continue;
    TORCH_CHECK(fits(weights[i]->value, state), "weights are float32 on the device of the state");
    tracked[i] = weights[i]->value.contiguous();
    pending->weights[i] = prepared(tracked[i].detach());
  }
  pending->epsilon = epsilon;
  pending->state = state;
  requireFitting(*pending);
  pending->makePlaceForProjections();
  return pending;
}

}  // namespace
}  // namespace wideband

struct wb_pending_write {
  wideband::PendingPointer value;
  at::Tensor input;
  bool isClosed = false;

  /// The sublayer's output, checked; the backward pass knows one write for each read.
  at::Tensor close(const wb_tensor *output) {
    auto contiguous = wideband::prepared(output->value);
    TORCH_CHECK(
        contiguous.device() == value->state.device() && contiguous.scalar_type() == value->state.scalar_type() &&
            contiguous.sizes().vec() == value->narrow(),
        "the sublayer's output ", contiguous.sizes(), " does not match its input");
    TORCH_CHECK(!isClosed, "a connection's write was asked for twice");
    isClosed = true;
    return contiguous;
  }

  bool isRecording(const at::Tensor &output) const {
    return at::GradMode::is_enabled() && (output.requires_grad() || input.requires_grad());
  }
};

bool wb_connection_is_supported(const wb_tensor *const weights[7], const wb_tensor *state) {
  return wideband::guarded(false, [&] {
    const at::Tensor &value = state->value;
    // A slot of one channel normalises to its sign: the kernels' form of the derivative would be all cancellation.
    if (value.dim() < 2 || value.size(-1) < 2) return false;
    if (!wideband::kernels::take(value)) {
      if (!value.is_cpu())
        wideband::reportRefusal(
            "connections", c10::str("there are no kernels for ", value.scalar_type(), " on ", value.device()));
      return false;
    }
    if (!weights[1] || weights[1]->value.dim() != 2) return true;
    ck_connection kind{weights[1]->value.size(1), value.size(-2), value.size(-1)};
    if (weights[2]) kind.dynamic_alpha = wideband::data(weights[2]->value);
    const std::string reason = wideband::kernels::refusal(kind, value);
    if (!reason.empty()) wideband::reportRefusal("connections", reason);
    return reason.empty();
  });
}

wb_tensor *wb_connection_read(
    const wb_tensor *const weights[7], double epsilon, const wb_tensor *state, wb_pending_write **pending) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    auto contiguous = wideband::prepared(state->value);
    wideband::Weights tracked;
    auto value = wideband::opened(weights, epsilon, contiguous.detach(), tracked);
    auto input = wideband::Read::apply(
        contiguous, tracked[0], tracked[1], tracked[2], tracked[3], tracked[4], tracked[5], tracked[6], value);
    *pending = new wb_pending_write{value, input};
    return wideband::handle(input);
  });
}

wb_tensor *wb_connection_write(wb_pending_write *pending, const wb_tensor *output) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    auto contiguous = pending->close(output);
    return wideband::handle(wideband::Write::apply(
        contiguous, pending->input, pending->value, pending->isRecording(contiguous)));
  });
}

wb_tensor *wb_connection_write_read(
    wb_pending_write *pending, const wb_tensor *output, const wb_tensor *const weights[7], double epsilon,
    wb_pending_write **next) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    wideband::Weights tracked;
    auto value = wideband::opened(weights, epsilon, pending->value->state, tracked);
    TORCH_CHECK(value->rate() == pending->value->rate(), "two neighbouring connections have different fraction rates");
    auto contiguous = pending->close(output);
    auto input = wideband::WriteRead::apply(
        contiguous, pending->input, tracked[0], tracked[1], tracked[2], tracked[3], tracked[4], tracked[5], tracked[6],
        pending->value, value, pending->isRecording(contiguous));
    *next = new wb_pending_write{value, input};
    return wideband::handle(input);
  });
}

void wb_pending_write_release(wb_pending_write *pending) { delete pending; }
