// Root-mean-square normalisation as one autograd function: it saves its input and one number a row, where the
// composed operators save four tensors the size of the input.
#include <torch/csrc/autograd/custom_function.h>

#include "Internal.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct RMSNorm : torch::autograd::Function<RMSNorm> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &weight, double epsilon) {
    auto wide = x.to(at::kFloat);
    auto scale = at::rsqrt(at::mean(wide.square(), {-1}, true).add_(epsilon));
    context->save_for_backward({x, weight, scale});
    return (wide * scale).mul_(weight.to(at::kFloat)).to(x.scalar_type());
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto weight = saved[1].to(at::kFloat);
    const auto &scale = saved[2];
    auto normal = saved[0].to(at::kFloat) * scale;
    auto upstream = gradients[0].to(at::kFloat);
    auto weightGradient = (upstream * normal).reshape({-1, weight.size(0)}).sum(0);
    auto inner = upstream * weight;
    auto along = at::mean(inner * normal, {-1}, true);
    auto inputGradient = inner.sub_(normal.mul_(along)).mul_(scale);
    return {inputGradient.to(saved[0].scalar_type()), weightGradient.to(saved[1].scalar_type()), at::Tensor()};
  }
};

}  // namespace

wb_tensor *wb_rms_norm(const wb_tensor *x, const wb_tensor *weight, double epsilon) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    return wideband::handle(RMSNorm::apply(x->value, weight->value, epsilon));
  });
}
