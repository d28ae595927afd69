// Autograd: required gradients, the backward pass, and the switch that disables gradients.
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <utility>

#include "Core/Internal.hpp"

namespace wideband {
namespace {

/// The caller's function, which is called after each addition to a gradient, and its context.
struct GradientHook : torch::autograd::PostAccumulateGradHook {
  GradientHook(void (*function)(void *), void *context, void (*release)(void *))
      : function(function), context(context), release(release) {}
  ~GradientHook() override { release(context); }
  GradientHook(const GradientHook &) = delete;

  void operator()(const torch::autograd::Variable &) override { function(context); }

 private:
  void (*function)(void *);
  void *context;
  void (*release)(void *);
};

}  // namespace
}  // namespace wideband

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

bool wb_tensor_set_gradient_hook(
    wb_tensor *tensor, void (*function)(void *context), void *context, void (*release)(void *context)) {
  std::unique_ptr<torch::autograd::PostAccumulateGradHook> hook;
  if (function) hook = std::make_unique<wideband::GradientHook>(function, context, release);
  return wideband::guardedAction([&] {
    // Of a tensor that is computed, libtorch would never call it.
    TORCH_CHECK(tensor->value.is_leaf() && tensor->value.requires_grad(), "expected a leaf that requires a gradient");
    torch::autograd::impl::set_post_acc_grad_hooks(tensor->value, std::move(hook));
  });
}
