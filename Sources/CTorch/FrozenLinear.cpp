// Linear maps whose weight is not trained, alone and with a trained adapter of low rank. No gradient of the weight is
// computed, and one of 16 bits is widened for the moment of each product alone.
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "Internal.h"
#include "Products.hpp"

namespace wideband {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A stored weight as the products take it.
at::Tensor widened(const at::Tensor &weight) { return weight.to(at::kFloat).contiguous(); }

/// x W^T.
struct FrozenLinear : torch::autograd::Function<FrozenLinear> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &input, const at::Tensor &weight) {
    context->save_for_backward({weight});
    context->saved_data["shape"] = input.sizes().vec();
    return mapped(input.contiguous(), widened(weight));
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto upstream = gradients[0].contiguous();
    auto result = at::empty(context->saved_data["shape"].toIntVector(), upstream.options());
    multiply(asRows(upstream), widened(context->get_saved_variables()[0]), asRows(result));
    return {result, at::Tensor()};
  }
};

/// x W^T + s (x A^T) B^T.
struct AdaptedLinear : torch::autograd::Function<AdaptedLinear> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &weight, const at::Tensor &down,
      const at::Tensor &up, double scale) {
    auto x = input.contiguous(), a = down.contiguous(), b = up.contiguous();
    auto inner = mapped(x, a).mul_(scale);
    auto y = mapped(x, widened(weight));
    multiply(asRows(inner), b.t(), asRows(y), true);
    context->save_for_backward({x, weight, a, b, inner});
    context->saved_data["scale"] = scale;
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &a = saved[2], &b = saved[3], &inner = saved[4];
    auto upstream = asRows(gradients[0].contiguous());
    auto innerGradient = at::empty({upstream.size(0), a.size(0)}, upstream.options());
    multiply(upstream, b, innerGradient);
    innerGradient.mul_(context->saved_data["scale"].toDouble());
    variable_list results(5);
    if (context->needs_input_grad(0)) {
      results[0] = at::empty_like(x);
      multiply(upstream, widened(weight), asRows(results[0]));
      multiply(innerGradient, a, asRows(results[0]), true);
    }
    if (context->needs_input_grad(2)) multiply(innerGradient.t(), asRows(x), results[2] = at::empty_like(a));
    if (context->needs_input_grad(3)) multiply(upstream.t(), asRows(inner), results[3] = at::empty_like(b));
    return results;
  }
};

/// Whether a weight is one of floats in the processor's memory that is not trained.
bool isFrozen(const at::Tensor &weight) {
  return weight.device().is_cpu() && weight.is_floating_point() && weight.numel() > 0 && !weight.requires_grad();
}

/// Whether a weight [out, in] fits rows [..., in].
bool fits(const at::Tensor &x, const at::Tensor &weight) {
  return x.dim() > 0 && weight.dim() == 2 && weight.size(1) == x.size(-1);
}

}  // namespace

bool isFrozenProduct(const at::Tensor &x, const at::Tensor &weight) {
  return c10::GradMode::is_enabled() && x.requires_grad() && isFusible(x) && isFrozen(weight) && fits(x, weight);
}

at::Tensor frozenProduct(const at::Tensor &x, const at::Tensor &weight) { return FrozenLinear::apply(x, weight); }

}  // namespace wideband

bool wb_is_adapted_product(const wb_tensor *x, wb_matrix weight, const wb_tensor *down, const wb_tensor *up) {
  const auto &input = x->value, &a = down->value, &b = up->value;
  return c10::GradMode::is_enabled() && (input.requires_grad() || a.requires_grad() || b.requires_grad()) &&
         wideband::isFusible(input) && wideband::isFusible(a) && wideband::isFusible(b) &&
         wideband::isFrozen(weight.values->value);
}

wb_tensor *wb_adapted_linear(
    const wb_tensor *input, wb_matrix matrix, const wb_tensor *down, const wb_tensor *up, double scale) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    const auto &x = input->value, &weight = matrix.values->value, &a = down->value, &b = up->value;
    TORCH_CHECK(
        wideband::fits(x, weight) && wideband::fits(x, a) && b.dim() == 2 && b.size(1) == a.size(0) &&
            b.size(0) == weight.size(0),
        "the weight [out, in] and the adapter [r, in], [out, r] do not fit the last axis");
    return wideband::handle(wideband::AdaptedLinear::apply(x, weight, a, b, scale));
  });
}
