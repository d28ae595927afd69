// Causal attention as one autograd function. Heads stay interleaved, as the projections give them: nothing is transposed on
// the way in or out, and no scores are saved.
#include <cmath>

#include "Core/AutogradFunction.hpp"

namespace wideband {
namespace {

ck_causal_attention_args arguments(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &output,
    const at::Tensor &logSumExp) {
  return {
      .batch = q.size(0),
      .length = q.size(1),
      .heads = q.size(2),
      .key_value_heads = k.size(2),
      .head_size = q.size(3),
      .scale = 1 / std::sqrt(static_cast<float>(q.size(3))),
      .query = data(q),
      .key = data(k),
      .value = data(v),
      .layout = {.length = k.size(1), .position = k.stride(1), .head = k.stride(2), .row = k.stride(0)},
      .output = mutableData(output),
      .log_sum_exp = mutableData(logSumExp)};
}

/// Output and log-sum-exp for contiguous queries; keys and values have the same strides, and contiguous channels.
std::pair<at::Tensor, at::Tensor> attend(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
  auto output = at::empty_like(q), logSumExp = at::empty({q.size(0), q.size(2), q.size(1)}, q.options());
  const auto args = arguments(q, k, v, output, logSumExp);
  TORCH_CHECK(ck_causal_attention(&args, threadCount()));
  return {output, logSumExp};
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &query, const at::Tensor &key, const at::Tensor &value) {
    auto q = query.contiguous(), k = key.contiguous(), v = value.contiguous();
    auto [output, logSumExp] = attend(q, k, v);
    context->save_for_backward({q, k, v, output, logSumExp});
    return output;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &output = saved[3], &logSumExp = saved[4];
    auto upstream = gradients[0].contiguous();
    variable_list results{at::empty_like(q), at::empty_like(k), at::empty_like(v)};
    const int64_t length = k.size(1), width = k.size(3), row = k.size(2) * width;
    auto forward = arguments(q, k, v, output, logSumExp);
    // A contiguous tensor may have any stride along an axis of one.
    forward.layout = {.length = length, .position = row, .head = width, .row = length * row};
    const ck_causal_attention_backward_args args{
        .forward = forward,
        .output_gradient = data(upstream),
        .query_gradient = mutableData(results[0]),
        .key_gradient = mutableData(results[1]),
        .value_gradient = mutableData(results[2])};
    TORCH_CHECK(ck_causal_attention_backward(&args, threadCount()));
    return results;
  }
};

}  // namespace
}  // namespace wideband

using namespace wideband;

wb_tensor *wb_causal_attention(const wb_tensor *query, const wb_tensor *key, const wb_tensor *value) {
  return guardedTensor([&] {
    const auto &q = query->value, &k = key->value, &v = value->value;
    TORCH_CHECK(
        q.dim() == 4 && k.dim() == 4 && k.sizes() == v.sizes() && k.size(0) == q.size(0) && k.size(1) >= q.size(1) &&
            k.size(3) == q.size(3) && q.size(2) % k.size(2) == 0,
        "the queries [B, T, H, d] do not fit the keys and the values [B, S, K, d]");
    if (requiresGradient(q, k, v)) {
      TORCH_CHECK(k.size(1) == q.size(1), "there is no derivative of attention over earlier keys and values");
      return Attention::apply(q, k, v);
    }
    const bool areAlike = k.strides() == v.strides() && k.stride(3) == 1;
    return attend(q.contiguous(), areAlike ? k : k.contiguous(), areAlike ? v : v.contiguous()).first;
  });
}
