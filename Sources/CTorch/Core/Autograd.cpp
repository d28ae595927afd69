// Autograd: required gradients, the backward pass, and the switch that disables gradients.
#include <ATen/core/grad_mode.h>

#include "Core/Internal.hpp"

bool wb_set_gradients_enabled(bool enabled) {
  bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(enabled);
  return before;
}

bool wb_tensor_require_gradient(wb_tensor *tensor, bool required) {
  return wideband::guardedAction([&] { tensor->value.requires_grad_(required); });
}

bool wb_tensor_requires_gradient(const wb_tensor *tensor) { return tensor->value.requires_grad(); }

wb_tensor *wb_tensor_gradient(const wb_tensor *tensor) {
  const at::Tensor &gradient = tensor->value.grad();
  return gradient.defined() ? wideband::handle(gradient) : nullptr;
}

void wb_tensor_clear_gradient(wb_tensor *tensor) { tensor->value.mutable_grad().reset(); }

bool wb_tensor_backward(const wb_tensor *tensor, const wb_tensor *upstream) {
  return wideband::guardedAction([&] {
    TORCH_CHECK(
        !upstream || upstream->value.sizes() == tensor->value.sizes(),
        "the gradient has another shape than the tensor");
    tensor->value.backward(upstream ? upstream->value : at::Tensor());
  });
}
