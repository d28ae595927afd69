// The linear map as one autograd function whose three products go through `multiply`.
#include "Products.hpp"

#include <ATen/Context.h>
#include <torch/csrc/autograd/custom_function.h>

#include "Internal.h"

namespace at::native {
// result = beta result + alpha a b. libtorch exports it and ships no header for it.
TORCH_API void mkldnn_matmul(const Tensor &a, const Tensor &b, const Tensor &result, float beta, float alpha);
}  // namespace at::native

namespace wideband {

bool isLargeProduct(const at::Tensor &a, const at::Tensor &b, int64_t m, int64_t k, int64_t n) {
  constexpr int64_t fewest = int64_t(1) << 20;
  return at::hasMKLDNN() && a.device().is_cpu() && b.device().is_cpu() && a.scalar_type() == at::kFloat &&
         b.scalar_type() == at::kFloat && m > 1 && k > 0 && n > 1 && m * k * n >= fewest;
}

void multiply(const at::Tensor &a, const at::Tensor &b, const at::Tensor &result, bool isAdded) {
  at::native::mkldnn_matmul(a, b, result, isAdded ? 1 : 0, 1);
}

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &input, const at::Tensor &weight) {
    auto x = input.contiguous();
    auto w = weight.contiguous();
    context->save_for_backward({x, w});
    auto sizes = x.sizes().vec();
    sizes.back() = w.size(0);
    auto y = at::empty(sizes, x.options());
    multiply(x.view({-1, x.size(-1)}), w.t(), y.view({-1, y.size(-1)}));
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    auto upstream = gradients[0].contiguous().view({-1, weight.size(0)});
    variable_list results(2);
    if (context->needs_input_grad(0)) {
      results[0] = at::empty_like(x);
      multiply(upstream, weight, results[0].view({-1, x.size(-1)}));
    }
    if (context->needs_input_grad(1)) {
      results[1] = at::empty_like(weight);
      multiply(upstream.t(), x.view({-1, x.size(-1)}), results[1]);
    }
    return results;
  }
};

}  // namespace
}  // namespace wideband

wb_tensor *wb_linear(const wb_tensor *input, const wb_tensor *weight) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    const auto &x = input->value, &w = weight->value;
    TORCH_CHECK(
        x.dim() > 0 && w.dim() == 2 && w.size(1) == x.size(-1), "the weight [out, in] does not fit the last axis");
    const int64_t rows = w.size(1) ? x.numel() / w.size(1) : 0;
    if (!wideband::isLargeProduct(x, w, rows, w.size(1), w.size(0))) return wideband::handle(at::linear(x, w));
    return wideband::handle(wideband::Linear::apply(x, w));
  });
}
