// The normalisation of queries and keys and their rotation as one autograd function.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "Internal.h"
#include "Products.hpp"
#include "ckernels.h"

namespace wideband {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct RotaryNorm : torch::autograd::Function<RotaryNorm> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &weight, const at::Tensor &cosine,
      const at::Tensor &sine, double epsilon) {
    auto x = input.contiguous(), gain = weight.contiguous(), cos = cosine.contiguous(), sin = sine.contiguous();
    const int64_t width = x.size(-1), heads = x.size(-2), tokens = x.numel() / (width * heads);
    auto y = at::empty_like(x);
    auto scale = at::empty({tokens, heads}, x.options());
    TORCH_CHECK(
        ck_rotary_norm(
            tokens, heads, width, cos.numel() / width, data(x), data(gain), data(cos), data(sin),
            static_cast<float>(epsilon), mutableData(y), mutableData(scale), at::get_num_threads()),
        "the kernel refused the sizes");
    context->save_for_backward({x, gain, cos, sin, scale});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &cosine = saved[2], &sine = saved[3], &scale = saved[4];
    auto upstream = gradients[0].contiguous();
    auto inputGradient = at::empty_like(x), weightGradient = at::zeros_like(weight);
    const int64_t width = x.size(-1);
    TORCH_CHECK(
        ck_rotary_norm_backward(
            scale.size(0), scale.size(1), width, cosine.numel() / width, data(x), data(weight), data(cosine),
            data(sine), data(scale), data(upstream), mutableData(inputGradient), mutableData(weightGradient),
            at::get_num_threads()),
        "the kernel had no memory");
    return {inputGradient, weightGradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace
}  // namespace wideband

wb_tensor *wb_rotary_norm(
    const wb_tensor *x, const wb_tensor *weight, const wb_tensor *cosine, const wb_tensor *sine, double epsilon) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    const auto &input = x->value, &gain = weight->value, &cos = cosine->value, &sin = sine->value;
    TORCH_CHECK(
        input.dim() == 4 && gain.dim() == 1 && gain.size(0) == input.size(-1) && cos.dim() == 4 &&
            cos.sizes() == sin.sizes() && cos.size(1) == input.size(1) && cos.size(2) == 1 &&
            cos.size(3) == input.size(3) && (cos.size(0) == 1 || cos.size(0) == input.size(0)),
        "the weight or the angles do not fit [B, T, H, hd]");
    return wideband::handle(wideband::RotaryNorm::apply(input, gain, cos, sin, epsilon));
  });
}
