// Activation checkpointing: a part of the forward pass that saves only its input and runs again in the backward pass.
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include "Core/Internal.hpp"

namespace wideband {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The caller's function and its context.
struct Part : torch::CustomClassHolder {
  Part(wb_checkpointed_function function, void *context, void (*release)(void *))
      : function(function), context(context), release(release) {}
  ~Part() override { release(context); }

  variable_list operator()(const at::Tensor &input) const {
    constexpr int maximumResults = 16;
    wb_tensor in{input}, *results[maximumResults];
    const int count = function(context, &in, results, maximumResults);
    TORCH_CHECK(count >= 0, "a part of the pass failed");
    variable_list values;
    for (int i = 0; i < count; i++) {
      values.push_back(std::move(results[i]->value));
      delete results[i];
    }
    return values;
  }

 private:
  wb_checkpointed_function function;
  void *context;
  void (*release)(void *);
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  /// `always` requires a gradient, so that the part's weights get gradients even if the input requires none.
  static variable_list forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor & /*always*/,
      const c10::intrusive_ptr<Part> &part) {
    context->save_for_backward({input});
    context->saved_data["part"] = c10::IValue::make_capsule(part);
    return (*part)(input.detach());
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto part = c10::static_intrusive_pointer_cast<Part>(context->saved_data["part"].toCapsule());
    auto saved = context->get_saved_variables()[0];
    auto input = saved.detach();
    input.requires_grad_(context->needs_input_grad(0));
    variable_list results, upstream;
    {
      at::AutoGradMode tracking(true);
      auto all = (*part)(input);
      for (size_t i = 0; i < all.size(); i++) {
        if (!all[i].requires_grad() || !gradients[i].defined()) continue;
        results.push_back(all[i]);
        upstream.push_back(gradients[i]);
      }
    }
    torch::autograd::backward(results, upstream);
    return {input.grad(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace
}  // namespace wideband

int wb_activation_checkpoint(
    const wb_tensor *input, wb_checkpointed_function function, void *context, void (*release)(void *),
    wb_tensor **results, int capacity) {
  auto part = c10::make_intrusive<wideband::Part>(function, context, release);
  return wideband::guarded(-1, [&] {
    auto values = wideband::Recomputed::apply(input->value, at::empty({0}).requires_grad_(true), part);
    TORCH_CHECK(static_cast<int>(values.size()) <= capacity, "more results than expected");
    for (size_t i = 0; i < values.size(); i++) results[i] = wideband::handle(std::move(values[i]));
    return static_cast<int>(values.size());
  });
}
