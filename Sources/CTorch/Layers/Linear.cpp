// The linear map as one autograd function whose three products go through `multiply`.
#include <ATen/ops/linear.h>

#include "CUDA/CUDASublayers.hpp"
#include "Layers/FrozenWeight.hpp"

namespace wideband {
namespace {

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &input, const at::Tensor &weight) {
    auto x = input.contiguous(), w = weight.contiguous();
    context->save_for_backward({x, w});
    return mapped(x, w);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    auto upstream = asRows(gradients[0].contiguous());
    variable_list results(2);
    if (context->needs_input_grad(0)) multiply(upstream, weight, asRows(results[0] = at::empty_like(x)));
    if (context->needs_input_grad(1)) results[1] = multiplied(upstream.t(), asRows(x));
    return results;
  }
};

/// x times the transpose of a weight that is not trained.
struct FrozenWeightLinear : torch::autograd::Function<FrozenWeightLinear> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const FrozenWeight &weight) {
    weight.save(context);
    return weight.product(x.contiguous());
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    return {FrozenWeight(context).productBack(gradients[0].contiguous()), {}};
  }
};

at::Tensor product(const at::Tensor &x, const wb_matrix &matrix) {
  const auto &values = matrix.values->value;
  if (auto y = skinnyGEMMOnGPU(x, matrix); y.defined()) return y;
  if (!isFusible(x) || !isReadable(matrix)) return at::linear(x, dequantized(matrix).to(x.scalar_type()));
  TORCH_CHECK(x.dim() > 0 && matrix.inputs == x.size(-1), "the weight [out, in] does not fit the last axis");
  if (isSkinny(x, matrix)) return skinnyGEMM(x, matrix);
  if (requiresGradient(values)) return Linear::apply(x, values.to(at::kFloat));
  return FrozenWeightLinear::apply(x, FrozenWeight(matrix));
}

}  // namespace
}  // namespace wideband

wb_tensor *wb_linear(const wb_tensor *input, wb_matrix matrix) {
  return wideband::guardedTensor([&] { return wideband::product(input->value, matrix); });
}
