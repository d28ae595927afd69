// The feed-forward sublayer W_down (silu(W_gate x) * W_up x) as one autograd function: it saves x and the two inner
// activations, and computes their product again in the backward pass.
#include "Layers/SwiGLU.hpp"

#include "Core/AutogradFunction.hpp"

namespace wideband {

void swiglu(const at::Tensor &gate, const at::Tensor &up, const at::Tensor &product) {
  const ck_swiglu_args args{.count = gate.numel(), .gate = data(gate), .up = data(up), .product = mutableData(product)};
  TORCH_CHECK(ck_swiglu(&args, threadCount()));
}

void swigluBackward(
    const at::Tensor &gate, const at::Tensor &up, const at::Tensor &product, const at::Tensor &gateGradient,
    const at::Tensor &upGradient) {
  const ck_swiglu_backward_args args{
      .count = gate.numel(),
      .gate = data(gate),
      .up = data(up),
      .product_gradient = data(product),
      .product = mutableData(product),
      .gate_gradient = mutableData(gateGradient),
      .up_gradient = mutableData(upGradient)};
  TORCH_CHECK(ck_swiglu_backward(&args, threadCount()));
}

namespace {

struct SwiGLU : torch::autograd::Function<SwiGLU> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &gateWeight, const at::Tensor &upWeight,
      const at::Tensor &downWeight) {
    auto x = input.contiguous(), gateMap = gateWeight.contiguous(), upMap = upWeight.contiguous();
    auto downMap = downWeight.contiguous();
    auto gate = mapped(x, gateMap), up = mapped(x, upMap);
    auto product = at::empty_like(gate);
    swiglu(gate, up, product);
    context->save_for_backward({x, gateMap, upMap, downMap, gate, up});
    return mapped(product, downMap);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &gateMap = saved[1], &upMap = saved[2], &downMap = saved[3];
    const auto &gate = saved[4], &up = saved[5];
    auto upstream = asRows(gradients[0].contiguous());
    auto product = at::empty_like(gate), gateGradient = at::empty_like(gate), upGradient = at::empty_like(up);
    multiply(upstream, downMap, asRows(product));
    swigluBackward(gate, up, product, gateGradient, upGradient);
    auto gateRows = asRows(gateGradient), upRows = asRows(upGradient), rows = asRows(x);
    variable_list results(4);
    if (context->needs_input_grad(0)) {
      results[0] = at::empty_like(x);
      multiply(gateRows, gateMap, asRows(results[0]));
      multiply(upRows, upMap, asRows(results[0]), true);
    }
    if (context->needs_input_grad(1)) results[1] = multiplied(gateRows.t(), rows);
    if (context->needs_input_grad(2)) results[2] = multiplied(upRows.t(), rows);
    if (context->needs_input_grad(3)) results[3] = multiplied(upstream.t(), asRows(product));
    return results;
  }
};

/// The same for frozen weights in any format, without a derivative.
at::Tensor frozen(const at::Tensor &x, const wb_matrix &gateMap, const wb_matrix &upMap, const wb_matrix &downMap) {
  auto gate = gemm(x, gateMap), up = gemm(x, upMap);
  swiglu(gate, up, gate);
  return gemm(gate, downMap);
}

bool areFloats(const wb_matrix &gate, const wb_matrix &up, const wb_matrix &down) {
  return isFusible(gate.values->value, up.values->value, down.values->value);
}

}  // namespace
}  // namespace wideband

using namespace wideband;

bool wb_swiglu_is_supported(const wb_tensor *x, wb_matrix gate, wb_matrix up, wb_matrix down) {
  if (!isFusible(x->value)) return false;
  return areFloats(gate, up, down) ||
         (isReadable(gate) && isReadable(up) && isReadable(down) &&
          !requiresGradient(x->value, gate.values->value, up.values->value, down.values->value));
}

wb_tensor *wb_swiglu(const wb_tensor *x, wb_matrix gate, wb_matrix up, wb_matrix down) {
  return guardedTensor([&] {
    const auto &input = x->value;
    TORCH_CHECK(
        input.dim() > 0 && gate.inputs == input.size(-1) && up.inputs == gate.inputs &&
            up.values->value.size(0) == gate.values->value.size(0) && down.inputs == gate.values->value.size(0),
        "the weights [F, in], [F, in] and [out, F] do not fit the last axis");
    if (!areFloats(gate, up, down)) return frozen(input, gate, up, down);
    return SwiGLU::apply(input, gate.values->value, up.values->value, down.values->value);
  });
}

bool wb_is_fusible(const wb_tensor *tensor) { return isFusible(tensor->value); }
