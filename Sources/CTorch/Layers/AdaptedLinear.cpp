// Linear maps with a LoRA adapter, of which only the adapter is trained: no gradient of the weight is computed, and it is
// read in place, forward and backward.
#include "Layers/FrozenWeight.hpp"

namespace wideband {
namespace {

/// x W^T + s (x A^T) B^T.
struct AdaptedLinear : torch::autograd::Function<AdaptedLinear> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &down, const at::Tensor &up,
      const FrozenWeight &weight, double scale) {
    auto x = input.contiguous(), a = down.contiguous(), b = up.contiguous();
    auto inner = mapped(x, a).mul_(scale);
    auto y = weight.product(x);
    multiply(asRows(inner), b.t(), asRows(y), true);
    context->save_for_backward({x, a, b, inner});
    context->saved_data["scale"] = scale;
    weight.save(context);
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &a = saved[1], &b = saved[2], &inner = saved[3];
    auto gradient = gradients[0].contiguous(), upstream = asRows(gradient);
    auto innerGradient = multiplied(upstream, b).mul_(context->saved_data["scale"].toDouble());
    variable_list results(5);
    if (context->needs_input_grad(0)) {
      results[0] = FrozenWeight(context).productBack(gradient);
      multiply(innerGradient, a, asRows(results[0]), true);
    }
    if (context->needs_input_grad(1)) results[1] = multiplied(innerGradient.t(), asRows(x));
    if (context->needs_input_grad(2)) results[2] = multiplied(upstream.t(), asRows(inner));
    return results;
  }
};

/// Whether a matrix is in the processor's memory and is not trained.
bool isFrozen(const wb_matrix &matrix) {
  const auto &values = matrix.values->value;
  return values.device().is_cpu() && values.numel() > 0 && !values.requires_grad() &&
         (matrix.scales || values.is_floating_point());
}

}  // namespace
}  // namespace wideband

using namespace wideband;

bool wb_is_adapted_product(const wb_tensor *x, wb_matrix weight, const wb_tensor *down, const wb_tensor *up) {
  const auto &input = x->value, &a = down->value, &b = up->value;
  return requiresGradient(input, a, b) && isFusible(input, a, b) && isFrozen(weight);
}

wb_tensor *wb_adapted_linear(
    const wb_tensor *input, wb_matrix matrix, const wb_tensor *down, const wb_tensor *up, double scale) {
  return guardedTensor([&] {
    const auto &x = input->value, &weight = matrix.values->value, &a = down->value, &b = up->value;
    TORCH_CHECK(
        x.dim() > 0 && weight.dim() == 2 && matrix.inputs == x.size(-1) && a.dim() == 2 && a.size(1) == x.size(-1) &&
            b.dim() == 2 && b.size(1) == a.size(0) && b.size(0) == weight.size(0),
        "the weight [out, in] and the adapter [r, in], [out, r] do not fit the last axis");
    return AdaptedLinear::apply(x, a, b, FrozenWeight(matrix), scale);
  });
}
