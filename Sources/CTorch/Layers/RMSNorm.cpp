// Root-mean-square normalization as one autograd function: it saves its input and one number for each row, where
// composed operators save four tensors of the input's size. One fused pass on the processor in float32 and on a GPU in float32
// or bfloat16, ATen elsewhere.
#include <ATen/ops/mean.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "ckernels.h"
#include "Core/Internal.h"
#include "Core/Parallel.hpp"
#include "CUDA/CUDAKernels.hpp"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using wideband::data;
using wideband::mutableData;

bool isFused(const at::Tensor &x, const at::Tensor &weight) {
  return wideband::isFloatOnProcessor(x) && wideband::isFloatOnProcessor(weight);
}

bool isFusedOnGPU(const at::Tensor &x, const at::Tensor &weight) {
  const bool isFitting = weight.device() == x.device() && weight.scalar_type() == at::kFloat;
  if (!wideband::isForCUDAKernels(x) || !isFitting) return false;
  const auto target = wideband::cudaTarget(x);
  if (ck_cuda_rms_norm_is_supported(x.size(-1), &target)) return true;
  wideband::reportRefusal("norms", ck_cuda_error());
  return false;
}

void checkFits(const at::Tensor &input, const at::Tensor &weight) {
  TORCH_CHECK(
      input.dim() > 0 && weight.dim() == 1 && weight.size(0) == input.size(-1),
      "the weight does not fit the last axis");
}

/// The fused norm of contiguous x, and what each row was scaled by.
std::pair<at::Tensor, at::Tensor> normed(const at::Tensor &x, const at::Tensor &gain, double epsilon) {
  const int64_t width = x.size(-1), rows = width ? x.numel() / width : 0;
  auto y = at::empty_like(x), scale = at::empty({rows}, x.options());
  const ck_rms_norm_args args{
      .rows = rows,
      .width = width,
      .x = data(x),
      .weight = data(gain),
      .epsilon = static_cast<float>(epsilon),
      .y = mutableData(y),
      .scale = mutableData(scale)};
  TORCH_CHECK(ck_rms_norm(&args, wideband::threadCount()), "the kernel had no memory");
  return {y, scale};
}

struct RMSNorm : torch::autograd::Function<RMSNorm> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &weight, double epsilon) {
    checkFits(input, weight);
    if (isFusedOnGPU(input, weight)) return forwardOnGPU(context, input, weight, epsilon);
    if (!isFused(input, weight)) {
      auto wide = input.to(at::kFloat);
      auto scale = at::rsqrt(at::mean(wide.square(), {-1}, true).add_(epsilon));
      context->save_for_backward({input, weight, scale});
      return (wide * scale).mul_(weight.to(at::kFloat)).to(input.scalar_type());
    }
    auto x = input.contiguous();
    auto gain = weight.contiguous();
    auto [y, scale] = normed(x, gain, epsilon);
    context->save_for_backward({x, gain, scale});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &scale = saved[2];
    if (isFusedOnGPU(x, weight)) return backwardOnGPU(x, weight, scale, gradients[0]);
    if (!isFused(x, weight)) return composedBackward(x, weight, scale, gradients[0]);
    auto upstream = gradients[0].to(at::kFloat).contiguous();
    auto inputGradient = at::empty_like(x);
    auto weightGradient = at::zeros_like(weight);
    const ck_rms_norm_backward_args args{
        .rows = scale.numel(),
        .width = x.size(-1),
        .x = data(x),
        .weight = data(weight),
        .scale = data(scale),
        .y_gradient = data(upstream),
        .x_gradient = mutableData(inputGradient),
        .weight_gradient = mutableData(weightGradient)};
    TORCH_CHECK(ck_rms_norm_backward(&args, wideband::threadCount()), "the kernel had no memory");
    return {inputGradient, weightGradient, at::Tensor()};
  }

  static at::Tensor forwardOnGPU(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &weight, double epsilon) {
    auto x = wideband::prepared(input), gain = wideband::prepared(weight);
    const int64_t rows = x.numel() / x.size(-1);
    auto y = at::empty_like(x);
    auto scale = at::empty({rows}, gain.options());
    const auto target = wideband::cudaTarget(x);
    const ck_cuda_rms_norm_args args{
        .rows = rows,
        .width = x.size(-1),
        .x = x.const_data_ptr(),
        .weight = data(gain),
        .epsilon = static_cast<float>(epsilon),
        .y = y.mutable_data_ptr(),
        .scale = mutableData(scale)};
    TORCH_CHECK(ck_cuda_rms_norm(&args, &target), ck_cuda_error());
    context->save_for_backward({x, gain, scale});
    return y;
  }

  static variable_list backwardOnGPU(
      const at::Tensor &x, const at::Tensor &weight, const at::Tensor &scale, const at::Tensor &gradient) {
    auto upstream = wideband::prepared(gradient.to(x.scalar_type()));
    auto inputGradient = at::empty_like(x);
    auto weightGradient = at::zeros_like(weight);
    auto target = wideband::cudaTarget(x);
    auto scratch = at::empty({ck_cuda_rms_norm_scratch_count(scale.numel(), x.size(-1), &target)}, weight.options());
    target.scratch = mutableData(scratch);
    const ck_cuda_rms_norm_backward_args args{
        .rows = scale.numel(),
        .width = x.size(-1),
        .x = x.const_data_ptr(),
        .weight = data(weight),
        .scale = data(scale),
        .y_gradient = upstream.const_data_ptr(),
        .x_gradient = inputGradient.mutable_data_ptr(),
        .weight_gradient = mutableData(weightGradient)};
    TORCH_CHECK(ck_cuda_rms_norm_backward(&args, &target), ck_cuda_error());
    return {inputGradient, weightGradient, at::Tensor()};
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
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    const auto &input = x->value, &gain = weight->value;
    if (!at::GradMode::is_enabled() && isFused(input, gain)) {
      checkFits(input, gain);
      return wideband::handle(normed(input.contiguous(), gain.contiguous(), epsilon).first);
    }
    return wideband::handle(RMSNorm::apply(input, gain, epsilon));
  });
}
