// AdamW through the processor's kernel: all weights in one pass, with the gradients in place.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/variable.h>

#include <numeric>
#include <vector>

#include "ckernels.h"
#include "Core/Internal.hpp"
#include "Core/Parallel.hpp"

namespace wideband {
namespace {

bool isFlat(const at::Tensor &tensor) { return isFloatOnProcessor(tensor) && tensor.is_contiguous(); }

/// The gradients of the parameters, contiguous.
std::vector<at::Tensor> gradients(const wb_parameter *parameters, int count) {
  std::vector<at::Tensor> found;
  found.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; i++) {
    const auto &own = parameters[i].gradient;
    const auto &gradient = own ? own->value : parameters[i].weight->value.grad();
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
    const auto &[weight, gradient, first, second, rate, decay] = parameters[i];
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

bool wb_square_sums(const wb_tensor *array, int64_t piece, double *sums) {
  return guardedAction([&] {
    const auto &value = array->value;
    TORCH_CHECK(isFlat(value) && piece > 0 && value.numel() % piece == 0, "the array is not of whole pieces");
    const float *floats = data(value);
    at::parallel_for(0, value.numel() / piece, 1, [&](int64_t first, int64_t last) {
      for (int64_t index = first; index < last; index++) {
        const float *x = floats + index * piece;
        // Sums of their own, so that the loop is a vector's; the order does not depend on the processor.
        double totals[8] = {};
        int64_t at = 0;
        for (; at + 8 <= piece; at += 8)
          for (int each = 0; each < 8; each++) totals[each] += double(x[at + each]) * double(x[at + each]);
        for (; at < piece; at++) totals[0] += double(x[at]) * double(x[at]);
        sums[index] = std::accumulate(totals, totals + 8, 0.0);
      }
    });
  });
}
