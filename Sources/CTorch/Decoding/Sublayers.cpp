// The sublayers of decoding: tensors checked, then handed to the kernels.
#include <ATen/EmptyTensor.h>

#include <vector>

#include "ckernels.h"
#include "ckernels_decoding.h"
#include "Core/Internal.hpp"
#include "Core/Matrices.hpp"
#include "Core/Parallel.hpp"
#include "Core/Products.hpp"
#include "CUDA/CUDASublayers.hpp"
#include "Decoding/KVViews.hpp"

namespace wideband {
namespace {

bool isSkinnyStep(const at::Tensor &x, const at::Tensor &norm) {
  return isFusible(x) && !requiresGradient(x) && x.size(-1) == norm.numel() &&
         x.numel() <= ck_maximum_skinny_rows * x.size(-1);
}

/// Whether the kernels can read a norm's weight in place.
bool isReadableNorm(const wb_tensor *norm) { return isFusible(norm->value) && norm->value.is_contiguous(); }

/// A matrix as the kernels take it; `owned` retains the tensors that it points into.
ck_matrix retaining(const wb_matrix &matrix, std::vector<at::Tensor> &owned) {
  owned.push_back(matrix.values->value);
  if (matrix.scales) owned.push_back(matrix.scales->value);
  return asKernels(matrix);
}

/// An empty tensor in the shape of a contiguous input. It bypasses libtorch's dispatcher, whose code would have to be read from
/// memory in each call.
at::Tensor resultLike(const at::Tensor &input) { return at::detail::empty_cpu(input.sizes(), at::kFloat); }

}  // namespace
}  // namespace wideband

using namespace wideband;

/// An attention sublayer as the kernels take it, and the tensors that it points into.
struct wb_attention_weights {
  at::Tensor norm;
  std::vector<at::Tensor> owned;
  ck_attention_layer layer;

  explicit wb_attention_weights(const wb_attention_layer &source)
      : norm(source.norm->value), owned{source.query_norm->value, source.key_norm->value},
        layer{
            source.heads,
            source.key_value_heads,
            source.head_size,
            float(source.epsilon),
            data(norm),
            data(owned[0]),
            data(owned[1]),
            retaining(source.query, owned),
            retaining(source.key, owned),
            retaining(source.value, owned),
            retaining(source.output, owned)} {}

  wb_attention_weights(const wb_attention_weights &) = delete;

  /// Whether the kernels can read all of a sublayer's weights in place.
  static bool isPossible(const wb_attention_layer &source) {
    if (source.norm->value.is_cuda()) return isAttentionOnGPU(source);
    for (const wb_tensor *norm : {source.norm, source.query_norm, source.key_norm})
      if (!isReadableNorm(norm)) return false;
    for (const wb_matrix &matrix : {source.query, source.key, source.value, source.output})
      if (!isReadable(matrix)) return false;
    const auto type = source.query.values->value.scalar_type();
    return source.query.inputs == source.norm->value.numel() && source.key.values->value.scalar_type() == type &&
           source.value.values->value.scalar_type() == type && source.head_size % 2 == 0;
  }
};

/// A feed-forward sublayer as the kernels take it, and the tensors and matrices that it points into.
struct wb_feed_forward {
  at::Tensor norm;
  std::vector<at::Tensor> owned;
  std::vector<ck_matrix> gate, up, down;
  ck_matrix router{};
  ck_feed_forward_layer layer{};

  explicit wb_feed_forward(const wb_feed_forward_layer &source) : norm(source.norm->value) {
    for (int64_t each = 0; each < source.experts; each++) {
      gate.push_back(retaining(source.gate[each], owned));
      up.push_back(retaining(source.up[each], owned));
      down.push_back(retaining(source.down[each], owned));
    }
    if (source.router) router = retaining({source.router, nullptr, source.router->value.size(1)}, owned);
    layer = {float(source.epsilon), data(norm),    source.router ? &router : nullptr,
             source.experts,        source.chosen, source.renormalizes,
             gate.data(),           up.data(),     down.data()};
  }

  wb_feed_forward(const wb_feed_forward &) = delete;

  /// Whether the kernels can read all of a sublayer's matrices in place.
  static bool isPossible(const wb_feed_forward_layer &source) {
    if (source.norm->value.is_cuda()) return isFeedForwardOnGPU(source);
    if (!isReadableNorm(source.norm)) return false;
    if (source.router && !isFusible(source.router->value)) return false;
    if (source.experts < 1 || source.gate[0].inputs != source.norm->value.numel()) return false;
    for (int64_t each = 0; each < source.experts; each++)
      for (const auto *matrices : {source.gate, source.up, source.down})
        if (!isReadable(matrices[each])) return false;
    return true;
  }
};

wb_attention_weights *wb_attention_weights_create(const wb_attention_layer *layer) {
  return guarded<wb_attention_weights *>(
      nullptr, [&] { return wb_attention_weights::isPossible(*layer) ? new wb_attention_weights(*layer) : nullptr; });
}

void wb_attention_weights_release(wb_attention_weights *weights) { delete weights; }

bool wb_attention_sublayer_is_supported(const wb_tensor *x, const wb_attention_weights *weights) {
  if (x->value.is_cuda()) return isAttentionSublayerOnGPU(x->value, weights->norm, weights->layer);
  return isSkinnyStep(x->value, weights->norm);
}

wb_tensor *wb_attention_sublayer(
    const wb_tensor *x, const wb_attention_weights *weights, const wb_kv_view *sequences, int64_t count,
    const wb_tensor *cosine, const wb_tensor *sine, const wb_tensor *starts, bool adds_input) {
  return guardedTensor([&] {
    if (x->value.is_cuda())
      return attentionSublayerOnGPU(
          x->value, weights->layer, sequences, count, cosine->value, sine->value, starts ? starts->value : at::Tensor(),
          adds_input);
    TORCH_CHECK(!starts, "starts in memory are for kernels of a GPU");
    const auto input = x->value.contiguous();
    const auto cosines = cosine->value.contiguous(), sines = sine->value.contiguous();
    const auto views = kvViewsOf(sequences, count, input, weights->layer.head_size, cosines, sines);
    auto y = resultLike(input);
    const ck_attention_sublayer_args args{
        .layer = &weights->layer,
        .sequences = views.data(),
        .count = count,
        .x = data(input),
        .cosine = data(cosines),
        .sine = data(sines),
        .adds_input = adds_input,
        .y = mutableData(y)};
    TORCH_CHECK(ck_attention_sublayer(&args, threadCount()), "the sizes are impossible");
    return y;
  });
}

wb_feed_forward *wb_feed_forward_create(const wb_feed_forward_layer *layer) {
  return guarded<wb_feed_forward *>(
      nullptr, [&] { return wb_feed_forward::isPossible(*layer) ? new wb_feed_forward(*layer) : nullptr; });
}

void wb_feed_forward_release(wb_feed_forward *weights) { delete weights; }

bool wb_feed_forward_sublayer_is_supported(const wb_tensor *x, const wb_feed_forward *weights) {
  if (x->value.is_cuda()) return isFeedForwardSublayerOnGPU(x->value, weights->norm, weights->layer);
  return isSkinnyStep(x->value, weights->norm);
}

wb_tensor *wb_feed_forward_sublayer(const wb_tensor *x, const wb_feed_forward *weights, bool adds_input) {
  return guardedTensor([&] {
    if (x->value.is_cuda()) return feedForwardSublayerOnGPU(x->value, weights->layer, adds_input);
    const auto input = x->value.contiguous();
    auto y = resultLike(input);
    const ck_feed_forward_sublayer_args args{
        .layer = &weights->layer,
        .rows = input.numel() / input.size(-1),
        .x = data(input),
        .adds_input = adds_input,
        .y = mutableData(y)};
    TORCH_CHECK(ck_feed_forward_sublayer(&args, threadCount()), "the sizes are impossible");
    return y;
  });
}

int wb_maximum_skinny_rows(void) { return ck_maximum_skinny_rows; }

bool wb_worker_team_begin(void) { return ck_worker_team_begin(threadCount()); }

void wb_worker_team_end(void) { ck_worker_team_end(); }
