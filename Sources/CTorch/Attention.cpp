// Causal attention as one autograd function. Heads lie side by side, as the projections leave them: nothing is turned
// around on the way in or out, and no scores are kept.
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "Internal.h"
#include "Matrices.hpp"
#include "Parallel.hpp"
#include "Products.hpp"
#include "ckernels.h"

namespace wideband {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

float scale(const at::Tensor &query) { return 1 / std::sqrt(static_cast<float>(query.size(3))); }

/// Output and logarithms for contiguous queries; keys and values lie alike, each head's channels side by side.
std::pair<at::Tensor, at::Tensor> attended(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
  auto output = at::empty_like(q), logarithms = at::empty({q.size(0), q.size(2), q.size(1)}, q.options());
  TORCH_CHECK(ck_attention(
      q.size(0), q.size(1), q.size(2), k.size(2), q.size(3), scale(q), data(q), data(k), data(v),
      {k.size(1), k.stride(1), k.stride(2), k.stride(0)}, mutableData(output), mutableData(logarithms),
      threadCount()));
  return {output, logarithms};
}

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(
      AutogradContext *context, const at::Tensor &query, const at::Tensor &key, const at::Tensor &value) {
    auto q = query.contiguous(), k = key.contiguous(), v = value.contiguous();
    auto [output, logarithms] = attended(q, k, v);
    context->save_for_backward({q, k, v, output, logarithms});
    return output;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &output = saved[3], &logarithms = saved[4];
    auto upstream = gradients[0].contiguous();
    variable_list results{at::empty_like(q), at::empty_like(k), at::empty_like(v)};
    TORCH_CHECK(ck_attention_backward(
        q.size(0), q.size(1), q.size(2), k.size(2), q.size(3), scale(q), data(q), data(k), data(v), data(output),
        data(logarithms), data(upstream), mutableData(results[0]), mutableData(results[1]), mutableData(results[2]),
        threadCount()));
    return results;
  }
};

}  // namespace
}  // namespace wideband

wb_tensor *wb_attention(const wb_tensor *query, const wb_tensor *key, const wb_tensor *value) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    const auto &q = query->value, &k = key->value, &v = value->value;
    TORCH_CHECK(
        q.dim() == 4 && k.dim() == 4 && k.sizes() == v.sizes() && k.size(0) == q.size(0) && k.size(1) >= q.size(1) &&
            k.size(3) == q.size(3) && q.size(2) % k.size(2) == 0,
        "the queries [B, T, H, d] do not fit the keys and the values [B, S, K, d]");
    if (wideband::isRecorded(q) || wideband::isRecorded(k) || wideband::isRecorded(v)) {
      TORCH_CHECK(k.size(1) == q.size(1), "there is no derivative of attention over earlier keys and values");
      return wideband::handle(wideband::Attention::apply(q, k, v));
    }
    const bool areAlike = k.strides() == v.strides() && k.stride(3) == 1;
    return wideband::handle(
        wideband::attended(q.contiguous(), areAlike ? k : k.contiguous(), areAlike ? v : v.contiguous()).first);
  });
}
