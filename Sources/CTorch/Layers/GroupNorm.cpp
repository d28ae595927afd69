// Group normalization over the last axis as one autograd function of fused passes on the processor in float32; ATen's
// elsewhere.
#include <ATen/ops/group_norm.h>

#include "Core/AutogradFunction.hpp"

using namespace wideband;

namespace {

struct GroupNorm : torch::autograd::Function<GroupNorm> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, int64_t groups, const at::Tensor &weight,
      const at::Tensor &bias, double epsilon) {
    auto x = input.contiguous(), gain = weight.contiguous(), offset = bias.contiguous();
    const int64_t channels = gain.numel(), rows = x.numel() / channels;
    auto y = at::empty_like(x);
    auto statistics = at::empty({rows, groups, 2}, x.options());
    const ck_group_norm_args args{
        .rows = rows,
        .groups = groups,
        .width = channels / groups,
        .x = data(x),
        .weight = data(gain),
        .bias = data(offset),
        .epsilon = static_cast<float>(epsilon),
        .y = mutableData(y),
        .statistics = mutableData(statistics)};
    TORCH_CHECK(ck_group_norm(&args, threadCount()), "the kernel had no memory");
    context->save_for_backward({x, gain, statistics});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &statistics = saved[2];
    auto upstream = gradients[0].contiguous();
    auto inputGradient = at::empty_like(x);
    auto weightGradient = at::zeros_like(weight), biasGradient = at::zeros_like(weight);
    const int64_t groups = statistics.size(1);
    const ck_group_norm_backward_args args{
        .rows = statistics.size(0),
        .groups = groups,
        .width = weight.numel() / groups,
        .x = data(x),
        .weight = data(weight),
        .statistics = data(statistics),
        .y_gradient = data(upstream),
        .x_gradient = mutableData(inputGradient),
        .weight_gradient = mutableData(weightGradient),
        .bias_gradient = mutableData(biasGradient)};
    TORCH_CHECK(ck_group_norm_backward(&args, threadCount()), "the kernel had no memory");
    return {inputGradient, at::Tensor(), weightGradient, biasGradient, at::Tensor()};
  }
};

}  // namespace

wb_tensor *wb_group_norm(
    const wb_tensor *input, int64_t groups, const wb_tensor *weight, const wb_tensor *bias, double epsilon) {
  return guardedTensor([&] {
    const auto &x = input->value, &gain = weight->value, &offset = bias->value;
    TORCH_CHECK(
        x.dim() > 0 && gain.dim() == 1 && gain.sizes() == offset.sizes() && gain.size(0) == x.size(-1) && groups > 0 &&
            x.size(-1) > 0 && x.size(-1) % groups == 0,
        "weight and bias [channels] and ", groups, " groups do not fit the last axis");
    if (isFloatOnProcessor(x) && isFloatOnProcessor(gain) && isFloatOnProcessor(offset))
      return GroupNorm::apply(x, groups, gain, offset, epsilon);
    auto rows = x.to(at::kFloat).reshape({-1, x.size(-1)});
    auto normal = at::group_norm(rows, groups, gain.to(at::kFloat), offset.to(at::kFloat), epsilon);
    return normal.reshape(x.sizes()).to(x.scalar_type());
  });
}
