// AdamW through the processor's kernel: all weights in one pass, with the gradients in place.
#include <torch/csrc/autograd/variable.h>

#include <vector>

#include "ckernels.h"
#include "Core/Internal.hpp"
#include "Core/Parallel.hpp"

namespace wideband {
namespace {

bool isFlat(const at::Tensor &tensor) { return isFloatOnProcessor(tensor) && tensor.is_contiguous(); }

/// The gradients of the weights, contiguous.
std::vector<at::Tensor> gradients(const wb_parameter *parameters, int count) {
  std::vector<at::Tensor> found;
  found.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) {
    const auto &gradient = parameters[i].weight->value.grad();
    found.push_back(gradient.defined() ? gradient.contiguous() : gradient);
    TORCH_CHECK(!gradient.defined() || isFloatOnProcessor(gradient), "a gradient is not the kernel's");
  }
  return found;
}

}  // namespace
}  // namespace wideband

using namespace wideband;

bool wb_adamw_is_supported(const wb_parameter *parameters, int count) {
  for (int i = 0; i < count; i++) {
    const auto &[weight, first, second, rate, decay] = parameters[i];
    if (!isFlat(weight->value) || !isFlat(first->value) || !isFlat(second->value) ||
        first->value.numel() != weight->value.numel() || second->value.numel() != weight->value.numel())
      return false;
  }
  return true;
}

bool wb_adamw(
    const wb_parameter *parameters, int count, double beta1, double beta2, double epsilon, double divisor,
    int64_t step) {
  return guardedAction([&] {
    const auto slopes = gradients(parameters, count);
    std::vector<ck_parameter> all;
    all.reserve(slopes.size());
    for (int i = 0; i < count; i++) {
      const auto &weight = parameters[i].weight->value;
      all.push_back(
          {weight.numel(), mutableData(weight), data(slopes[size_t(i)]), mutableData(parameters[i].first_moment->value),
           mutableData(parameters[i].second_moment->value), parameters[i].learning_rate, parameters[i].weight_decay});
      weight.unsafeGetTensorImpl()->bump_version();
    }
    const ck_adamw_args args{
        .parameters = all.data(),
        .count = count,
        .beta1 = beta1,
        .beta2 = beta2,
        .epsilon = epsilon,
        .gradient_scale = 1 / divisor,
        .step = step};
    TORCH_CHECK(ck_adamw(&args, threadCount()), "the sizes are impossible");
  });
}

bool wb_gradient_norm(const wb_parameter *parameters, int count, double *norm) {
  return guardedAction([&] {
    const auto slopes = gradients(parameters, count);
    std::vector<ck_parameter> all;
    all.reserve(slopes.size());
    for (const auto &slope : slopes)
      if (slope.defined()) all.push_back({slope.numel(), nullptr, data(slope)});
    const ck_gradient_norm_args args{.parameters = all.data(), .count = static_cast<int64_t>(all.size()), .norm = norm};
    TORCH_CHECK(ck_gradient_norm(&args, threadCount()), "no scratch memory");
  });
}
