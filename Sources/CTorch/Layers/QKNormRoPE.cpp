// The normalization of queries and keys and their rotation as one autograd function.
#include <cmath>
#include <vector>

#include "Core/AutogradFunction.hpp"

namespace wideband {
namespace {

struct QKNormRoPE : torch::autograd::Function<QKNormRoPE> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &weight, const at::Tensor &cosine,
      const at::Tensor &sine, double epsilon) {
    auto x = input.contiguous(), gain = weight.contiguous(), cos = cosine.contiguous(), sin = sine.contiguous();
    const int64_t width = x.size(-1), heads = x.size(-2), tokens = x.numel() / (width * heads);
    auto y = at::empty_like(x);
    auto scale = at::empty({tokens, heads}, x.options());
    const ck_qk_norm_rope_args args{
        .tokens = tokens,
        .heads = heads,
        .head_size = width,
        .period = cos.numel() / width,
        .x = data(x),
        .weight = data(gain),
        .cosine = data(cos),
        .sine = data(sin),
        .epsilon = static_cast<float>(epsilon),
        .y = mutableData(y),
        .scale = mutableData(scale)};
    TORCH_CHECK(ck_qk_norm_rope(&args, threadCount()), "the kernel refused the sizes");
    context->save_for_backward({x, gain, cos, sin, scale});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &cosine = saved[2], &sine = saved[3], &scale = saved[4];
    auto upstream = gradients[0].contiguous();
    auto inputGradient = at::empty_like(x), weightGradient = at::zeros_like(weight);
    const ck_qk_norm_rope_backward_args args{
        .tokens = scale.size(0),
        .heads = scale.size(1),
        .head_size = x.size(-1),
        .period = cosine.numel() / x.size(-1),
        .x = data(x),
        .weight = data(weight),
        .cosine = data(cosine),
        .sine = data(sine),
        .scale = data(scale),
        .y_gradient = data(upstream),
        .x_gradient = mutableData(inputGradient),
        .weight_gradient = mutableData(weightGradient)};
    TORCH_CHECK(ck_qk_norm_rope_backward(&args, threadCount()), "the kernel had no memory");
    return {inputGradient, weightGradient, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace
}  // namespace wideband

using namespace wideband;

wb_tensor *wb_qk_norm_rope(
    const wb_tensor *x, const wb_tensor *weight, const wb_tensor *cosine, const wb_tensor *sine, double epsilon) {
  return guardedTensor([&] {
    const auto &input = x->value, &gain = weight->value, &cos = cosine->value, &sin = sine->value;
    TORCH_CHECK(
        input.dim() == 4 && gain.dim() == 1 && gain.size(0) == input.size(-1) && cos.dim() == 4 &&
            cos.sizes() == sin.sizes() && cos.size(1) == input.size(1) && cos.size(2) == 1 &&
            cos.size(3) == input.size(3) && (cos.size(0) == 1 || cos.size(0) == input.size(0)),
        "the weight or the angles do not fit [B, T, H, hd]");
    return QKNormRoPE::apply(input, gain, cos, sin, epsilon);
  });
}

bool wb_rotary_tables(
    const wb_tensor *positions, int64_t headSize, double theta, wb_tensor **cosine, wb_tensor **sine) {
  return guardedAction([&] {
    const auto &value = positions->value;
    TORCH_CHECK(
        value.device().is_cpu() && value.scalar_type() == at::kLong && value.dim() == 1 && headSize > 0 &&
            headSize % 2 == 0,
        "expected int64 positions [T] in the processor's memory and an even size of heads");
    const auto places = value.contiguous();
    const auto *position = static_cast<const int64_t *>(places.const_data_ptr());
    const int64_t half = headSize / 2;
    std::vector<double> frequencies(half);
    for (int64_t c = 0; c < half; c++) frequencies[c] = std::pow(theta, 2.0 * double(c) * (-1.0 / double(headSize)));
    auto cosines = at::empty({1, places.numel(), 1, headSize}, at::kFloat), sines = at::empty_like(cosines);
    float *cos = mutableData(cosines), *sin = mutableData(sines);
    for (int64_t p = 0; p < places.numel(); p++, cos += headSize, sin += headSize)
      for (int64_t c = 0; c < half; c++) {
        const double angle = double(position[p]) * frequencies[c];
        cos[c] = cos[c + half] = float(std::cos(angle));
        sin[c] = sin[c + half] = float(std::sin(angle));
      }
    *cosine = handle(cosines);
    *sine = handle(sines);
  });
}
