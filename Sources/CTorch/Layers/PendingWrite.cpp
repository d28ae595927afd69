#include "Layers/PendingWrite.hpp"

#include <utility>

namespace wideband {

PendingWritePointer restorePending(AutogradContext *context, const char *name) {
  return c10::static_intrusive_pointer_cast<PendingWrite>(context->saved_data[name].toCapsule());
}

void savePending(AutogradContext *context, const char *name, const PendingWritePointer &pending) {
  context->saved_data[name] = c10::IValue::make_capsule(pending);
}

namespace {

/// The gradients of a connection's weights, in their order, to which the kernel adds.
variable_list weightGradients(const ConnectionWeights &weights, ck_connection_gradients &targets) {
  variable_list gradients;
  std::array<float **, 7> places{
      &targets.static_read_carry,
      &targets.static_write,
      &targets.dynamic_read_carry,
      &targets.dynamic_write,
      &targets.read_carry_scale,
      &targets.write_scale,
      &targets.gain};
  for (size_t i = 0; i < places.size(); i++) {
    gradients.push_back(weights[i].defined() ? at::zeros_like(weights[i]) : at::Tensor());
    if (weights[i].defined()) *places[i] = mutableData(gradients.back());
  }
  return gradients;
}

}  // namespace

variable_list finishBackward(
    PendingWrite &connection, const at::Tensor &inputGradient, at::Tensor &stateGradient, const PendingWrite *previous,
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
    *previousOutputGradient = at::empty(previous->inputShape(), upstream.options());
  }
  kernels::run(
      {.connection = &kernel,
       .writer = previous ? &writer : nullptr,
       .tokens = connection.tokens(),
       .state = connection.state,
       .output = connection.output,
       .inputGradient = upstream,
       .nextStateGradient = connection.nextGradient,
       .stateGradient = stateGradient,
       .gradients = &targets,
       .savedWrite = previous ? previous->savedWrite : at::Tensor(),
       .writerOutputGradient = previous ? *previousOutputGradient : at::Tensor()},
      connection.state);
  connection.nextGradient.reset();
  connection.output.reset();
  connection.projections.reset();
  connection.state.reset();
  return gradients;
}

namespace {

/// Whether the kernels take a weight with such a state.
bool fits(const at::Tensor &weight, const at::Tensor &state) {
  return weight.device() == state.device() && weight.scalar_type() == at::kFloat;
}

/// The kernels do not check the sizes of arrays: throws for weights that do not fit the state.
void requireFitting(const PendingWrite &pending) {
  const auto &weights = pending.weights;
  TORCH_CHECK(
      weights[1].dim() == 2 && weights[1].size(1) > 0, "static_beta ", weights[1].sizes(), " is no matrix [n, m]");
  const int64_t m = pending.rate(), n = pending.slots(), C = pending.width();
  const std::pair<const char *, std::vector<int64_t>> expected[] = {
      {"static_alpha", {n, m + n}}, {"static_beta", {n, m}}, {"dynamic_alpha", {m + n, C}}, {"dynamic_beta", {m, C}},
      {"alpha_scale", {n, m + n}},  {"beta_scale", {n, m}},  {"norm.weight", {C}}};
  for (size_t i = 0; i < weights.size(); i++) {
    TORCH_CHECK(weights[i].defined() || (i > 1 && !weights[2].defined()), expected[i].first, " is missing");
    TORCH_CHECK(
        !weights[i].defined() || weights[i].sizes() == at::IntArrayRef(expected[i].second), expected[i].first, " ",
        weights[i].sizes(), " does not fit the state: expected ", at::IntArrayRef(expected[i].second));
  }
}

}  // namespace

PendingWritePointer pendingWrite(
    const wb_tensor *const weights[7], double epsilon, const at::Tensor &state, ConnectionWeights &tracked) {
  auto pending = c10::make_intrusive<PendingWrite>();
  // An autograd function takes no undefined tensor: the weights that a static connection lacks are empty instead.
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
  pending->allocateProjections();
  return pending;
}

}  // namespace wideband
