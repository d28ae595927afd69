// Root-mean-square normalization as one autograd function: it saves its input and one number for each row, where
// composed operators save four tensors of the input's size. One fused pass on the processor in float32 and on a GPU in float32
// or bfloat16, ATen elsewhere.
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/TensorOperators.h>

#include <utility>

#include "Core/AutogradFunction.hpp"
#include "CUDA/CUDAKernels.hpp"

using namespace wideband;

namespace {

bool isFusedOnGPU(const at::Tensor &x, const at::Tensor &weight) {
  const bool isFitting = weight.device() == x.device() && weight.scalar_type() == at::kFloat;
  if (!isForCUDAKernels(x) || !isFitting) return false;
  const auto target = cudaTarget(x);
  if (ck_cuda_rms_norm_is_supported(x.size(-1), &target)) return true;
  reportRefusal("norms", ck_cuda_error());
  return false;
}

bool isFused(const at::Tensor &x, const at::Tensor &weight) {
  return (isFloatOnProcessor(x) && isFloatOnProcessor(weight)) || isFusedOnGPU(x, weight);
}

/// The fused norm of prepared x, as arguments for the processor or for a GPU.
template <class Args>
Args arguments(
    const at::Tensor &x, const at::Tensor &weight, double epsilon, const at::Tensor &y, const at::Tensor &scale) {
  return {
      .rows = scale.numel(),
      .width = x.size(-1),
      .x = ConstElements(x),
      .weight = data(weight),
      .epsilon = static_cast<float>(epsilon),
      .y = Elements(y),
      .scale = mutableData(scale)};
}

/// The fused norm of prepared x, and what each row was scaled by.
std::pair<at::Tensor, at::Tensor> normed(const at::Tensor &x, const at::Tensor &weight, double epsilon) {
  auto y = at::empty_like(x), scale = at::empty({rowsOf(x)}, weight.options());
  if (x.is_cuda()) {
    const auto target = cudaTarget(x);
    const auto args = arguments<ck_cuda_rms_norm_args>(x, weight, epsilon, y, scale);
    TORCH_CHECK(ck_cuda_rms_norm(&args, &target), ck_cuda_error());
  } else {
    const auto args = arguments<ck_rms_norm_args>(x, weight, epsilon, y, scale);
    TORCH_CHECK(ck_rms_norm(&args, threadCount()), "the kernel had no memory");
  }
  return {y, scale};
}

struct RMSNorm : torch::autograd::Function<RMSNorm> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &weight, double epsilon) {
    if (!isFused(input, weight)) {
      auto wide = input.to(at::kFloat);
      auto scale = at::rsqrt(at::mean(wide.square(), {-1}, true).add_(epsilon));
      context->save_for_backward({input, weight, scale});
      return (wide * scale).mul_(weight.to(at::kFloat)).to(input.scalar_type());
    }
    auto x = prepared(input), gain = prepared(weight);
    auto [y, scale] = normed(x, gain, epsilon);
    context->save_for_backward({x, gain, scale});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &scale = saved[2];
    if (!isFused(x, weight)) return composedBackward(x, weight, scale, gradients[0]);
    auto upstream = prepared(gradients[0].to(x.scalar_type()));
    auto inputGradient = at::empty_like(x), weightGradient = at::zeros_like(weight);
    if (x.is_cuda()) {
      auto target = cudaTarget(x);
      auto scratch = at::empty({ck_cuda_rms_norm_scratch_count(scale.numel(), x.size(-1), &target)}, weight.options());
      target.scratch = mutableData(scratch);
      const auto args = arguments<ck_cuda_rms_norm_backward_args>(saved, upstream, inputGradient, weightGradient);
      TORCH_CHECK(ck_cuda_rms_norm_backward(&args, &target), ck_cuda_error());
    } else {
      const auto args = arguments<ck_rms_norm_backward_args>(saved, upstream, inputGradient, weightGradient);
      TORCH_CHECK(ck_rms_norm_backward(&args, threadCount()), "the kernel had no memory");
    }
    return {inputGradient, weightGradient, at::Tensor()};
  }

  template <class Args>
  static Args arguments(
      const variable_list &saved, const at::Tensor &upstream, const at::Tensor &inputGradient,
      const at::Tensor &weightGradient) {
    const auto &x = saved[0], &weight = saved[1], &scale = saved[2];
    return {
        .rows = scale.numel(),
        .width = x.size(-1),
        .x = ConstElements(x),
        .weight = data(weight),
        .scale = data(scale),
        .y_gradient = ConstElements(upstream),
        .x_gradient = Elements(inputGradient),
        .weight_gradient = mutableData(weightGradient)};
  }

  static variable_list composedBackward(
      const at::Tensor &x, const at::Tensor &weight, const at::Tensor &scale, const at::Tensor &gradient) {
    auto normal = x.to(at::kFloat) * scale;
    auto upstream = gradient.to(at::kFloat);
    auto weightGradient = (upstream * normal).reshape({-1, weight.size(0)}).sum(0);
    auto inner = upstream * weight.to(at::kFloat);
    auto along = at::mean(inner * normal, {-1}, true);
    auto inputGradient = inner.sub_(normal.mul_(along)).mul_(scale);
    return {inputGradient.to(x.scalar_type()), weightGradient.to(weight.scalar_type()), at::Tensor()};
  }
};

}  // namespace

wb_tensor *wb_rms_norm(const wb_tensor *x, const wb_tensor *weight, double epsilon) {
  return guardedTensor([&]() -> at::Tensor {
    const auto &input = x->value, &gain = weight->value;
    TORCH_CHECK(
        input.dim() > 0 && gain.dim() == 1 && gain.size(0) == input.size(-1), "the weight does not fit the last axis");
    if (!at::GradMode::is_enabled() && isFused(input, gain))
      return normed(prepared(input), prepared(gain), epsilon).first;
    return RMSNorm::apply(input, gain, epsilon);
  });
}
