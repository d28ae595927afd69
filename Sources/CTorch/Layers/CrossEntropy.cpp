// The output head and its loss as one autograd function. Logits exist for some rows at a time, and their gradient replaces
// them at once: neither is ever stored as [N, V], and the head is read and its gradient written while they are in cache.
// A head that is not trained may have 16 bits.
#include <ATen/ops/max.h>
#include <ATen/ops/sum.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "Core/AutogradFunction.hpp"

namespace wideband {
namespace {

/// Logits that exist at once, 32 MB of them.
constexpr int64_t maximumLogits = int64_t(1) << 23;

struct CrossEntropy : torch::autograd::Function<CrossEntropy> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &input, const at::Tensor &weight, const at::Tensor &targets,
      bool isTracked) {
    auto x = asRows(input.contiguous()), map = weight.to(at::kFloat).contiguous();
    auto wanted = targets.contiguous();
    const int64_t rows = x.size(0), vocabulary = map.size(0);
    const int64_t scored = std::max<int64_t>(at::sum(wanted.ge(0)).item<int64_t>(), 1);
    const int64_t together = std::clamp<int64_t>(maximumLogits / vocabulary, 1, rows);
    auto losses = at::empty({rows}, x.options());
    auto logits = at::empty({together, vocabulary}, x.options());
    at::Tensor inputGradient, weightGradient;
    if (isTracked) {
      inputGradient = at::empty(input.sizes(), input.options());
      if (weight.requires_grad()) weightGradient = at::empty_like(map);
    }
    for (int64_t first = 0; first < rows; first += together) {
      const int64_t count = std::min(together, rows - first);
      auto part = x.narrow(0, first, count), some = logits.narrow(0, 0, count);
      multiply(part, map.t(), some);
      const ck_cross_entropy_args args{
          .rows = count,
          .width = vocabulary,
          .logits = mutableData(some),
          .targets = static_cast<const int64_t *>(wanted.const_data_ptr()) + first,
          .losses = mutableData(losses) + first,
          .leaves_gradient = isTracked,
          .scale = 1.0f / static_cast<float>(scored)};
      TORCH_CHECK(
          ck_cross_entropy(&args, threadCount()), "Target ", at::max(wanted).item<int64_t>(),
          " is out of bounds: expected less than ", vocabulary);
      if (!isTracked) continue;
      multiply(some, map, asRows(inputGradient).narrow(0, first, count));
      if (weightGradient.defined()) multiply(some.t(), part, weightGradient, first > 0);
    }
    if (isTracked) {
      context->saved_data["input"] = inputGradient;
      if (weightGradient.defined()) context->saved_data["weight"] = weightGradient;
    }
    return (at::sum(losses, at::kDouble) / static_cast<double>(scored)).to(at::kFloat);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    const double scale = gradients[0].item<double>();
    variable_list results(4);
    const char *names[] = {"input", "weight"};
    for (size_t i = 0; i < 2; i++) {
      if (!context->needs_input_grad(i)) continue;
      auto &saved = context->saved_data[names[i]];
      TORCH_CHECK(saved.isTensor(), "the loss's backward pass ran twice");
      results[i] = saved.toTensor();
      if (scale != 1) results[i].mul_(scale);
      saved = c10::IValue();
    }
    return results;
  }
};

}  // namespace
}  // namespace wideband

using namespace wideband;

bool wb_is_readable_head(const wb_tensor *head) {
  const auto &map = head->value;
  const bool isWidened = map.device().is_cpu() && map.numel() > 0 && c10::isReducedFloatingType(map.scalar_type());
  return isFusible(map) || (isWidened && !map.requires_grad());
}

wb_tensor *wb_cross_entropy(const wb_tensor *x, const wb_tensor *head, const wb_tensor *targets) {
  return guardedTensor([&] {
    const auto &input = x->value, &map = head->value, &wanted = targets->value;
    TORCH_CHECK(
        input.dim() > 0 && map.dim() == 2 && map.size(1) == input.size(-1) && wanted.scalar_type() == at::kLong &&
            wanted.numel() == input.numel() / input.size(-1),
        "the head [V, D] or the targets do not fit the rows [..., D]");
    const bool isTracked = requiresGradient(input, map);
    return CrossEntropy::apply(input, map, wanted, isTracked);
  });
}
