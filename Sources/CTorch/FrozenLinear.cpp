// Linear maps whose weight is not trained, alone and with a trained adapter of low rank. No gradient of the weight is
// computed, and one that is not kept in float32 is widened for the moment of each product alone.
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "Internal.h"
#include "Products.hpp"
#include "Quantized.hpp"

namespace wideband {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A matrix that is not trained, as a derivative keeps it.
struct Frozen {
  at::Tensor values, scales;
  int64_t inputs;

  explicit Frozen(const wb_matrix &matrix)
      : values(matrix.values->value), scales(matrix.scales ? matrix.scales->value : at::Tensor()),
        inputs(matrix.inputs) {}

  explicit Frozen(AutogradContext *context)
      : values(context->saved_data["values"].toTensor()), scales(context->saved_data["scales"].toTensor()),
        inputs(context->saved_data["inputs"].toInt()) {}

  void save(AutogradContext *context) const {
    context->saved_data["values"] = values;
    context->saved_data["scales"] = scales;
    context->saved_data["inputs"] = inputs;
  }

  /// The weight [out, in] as products take it.
  at::Tensor widened() const {
    wb_tensor numbers{values}, factors{scales};
    return expanded({&numbers, scales.defined() ? &factors : nullptr, inputs}).to(at::kFloat).contiguous();
  }
};

/// x W^T.
struct FrozenLinear : torch::autograd::Function<FrozenLinear> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &input, const Frozen &weight) {
    weight.save(context);
    context->saved_data["shape"] = input.sizes().vec();
    return mapped(input.contiguous(), weight.widened());
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto upstream = gradients[0].contiguous();
    auto result = at::empty(context->saved_data["shape"].toIntVector(), upstream.options());
    multiply(asRows(upstream), Frozen(context).widened(), asRows(result));
    return {result, at::Tensor()};
  }
};

/// x W^T + s (x A^T) B^T.
struct AdaptedLinear : torch::autograd::Function<AdaptedLinear> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &down, const at::Tensor &up,
      const Frozen &weight, double scale) {
    auto x = input.contiguous(), a = down.contiguous(), b = up.contiguous();
    auto inner = mapped(x, a).mul_(scale);
    auto y = mapped(x, weight.widened());
    multiply(asRows(inner), b.t(), asRows(y), true);
    context->save_for_backward({x, a, b, inner});
    context->saved_data["scale"] = scale;
    weight.save(context);
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &a = saved[1], &b = saved[2], &inner = saved[3];
    auto upstream = asRows(gradients[0].contiguous());
    auto innerGradient = at::empty({upstream.size(0), a.size(0)}, upstream.options());
    multiply(upstream, b, innerGradient);
    innerGradient.mul_(context->saved_data["scale"].toDouble());
    variable_list results(5);
    if (context->needs_input_grad(0)) {
      results[0] = at::empty_like(x);
      multiply(upstream, Frozen(context).widened(), asRows(results[0]));
      multiply(innerGradient, a, asRows(results[0]), true);
    }
    if (context->needs_input_grad(1)) multiply(innerGradient.t(), asRows(x), results[1] = at::empty_like(a));
    if (context->needs_input_grad(2)) multiply(upstream.t(), asRows(inner), results[2] = at::empty_like(b));
    return results;
  }
};

/// Whether a matrix lies in the processor's memory and is not trained.
bool isFrozen(const wb_matrix &matrix) {
  const auto &values = matrix.values->value;
  return values.device().is_cpu() && values.numel() > 0 && !values.requires_grad() &&
         (matrix.scales || values.is_floating_point());
}

/// Whether a weight [out, in] fits rows [..., in].
bool fits(const at::Tensor &x, int64_t inputs, const at::Tensor &weight) {
  return x.dim() > 0 && weight.dim() == 2 && inputs == x.size(-1);
}

}  // namespace

bool isFrozenProduct(const at::Tensor &x, const wb_matrix &matrix) {
  return c10::GradMode::is_enabled() && x.requires_grad() && isFusible(x) && isFrozen(matrix) &&
         fits(x, matrix.inputs, matrix.values->value);
}

at::Tensor frozenProduct(const at::Tensor &x, const wb_matrix &matrix) {
  return FrozenLinear::apply(x, Frozen(matrix));
}

}  // namespace wideband

bool wb_is_adapted_product(const wb_tensor *x, wb_matrix weight, const wb_tensor *down, const wb_tensor *up) {
  const auto &input = x->value, &a = down->value, &b = up->value;
  return c10::GradMode::is_enabled() && (input.requires_grad() || a.requires_grad() || b.requires_grad()) &&
         wideband::isFusible(input) && wideband::isFusible(a) && wideband::isFusible(b) && wideband::isFrozen(weight);
}

wb_tensor *wb_adapted_linear(
    const wb_tensor *input, wb_matrix matrix, const wb_tensor *down, const wb_tensor *up, double scale) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    const auto &x = input->value, &weight = matrix.values->value, &a = down->value, &b = up->value;
    TORCH_CHECK(
        wideband::fits(x, matrix.inputs, weight) && a.dim() == 2 && b.dim() == 2 && a.size(1) == x.size(-1) &&
            b.size(1) == a.size(0) && b.size(0) == weight.size(0),
        "the weight [out, in] and the adapter [r, in], [out, r] do not fit the last axis");
    return wideband::handle(wideband::AdaptedLinear::apply(x, a, b, wideband::Frozen(matrix), scale));
  });
}
