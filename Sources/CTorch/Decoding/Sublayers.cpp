// The sublayers of decoding: tensors checked, then handed to the kernels.
#include <ATen/EmptyTensor.h>

#include <vector>

#include "ckernels.h"
#include "ckernels_decoding.h"
#include "Core/Internal.h"
#include "Core/Matrices.hpp"
#include "Core/Parallel.hpp"
#include "Core/Products.hpp"
#include "CUDA/CUDASublayers.hpp"

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

/// A tensor in the shape of a contiguous input, without libtorch's dispatcher, whose code has left the caches by the next
/// call.
at::Tensor resultLike(const at::Tensor &input) { return at::detail::empty_cpu(input.sizes(), at::kFloat); }

}  // namespace

ck_kv_view kvViewOf(const wb_kv_view &view) {
  const auto &keys = view.keys->value, &values = view.values->value;
  const auto type = keys.scalar_type();
  TORCH_CHECK(
      keys.dim() == 4 && keys.size(0) == 1 && keys.is_contiguous() && values.is_contiguous() &&
          keys.sizes() == values.sizes() && view.start >= 0 && view.start + view.rows <= keys.size(2),
      "keys and values [1, K, capacity, hd] have no capacity for positions ", view.start, " to ",
      view.start + view.rows);
  return {
      type == at::kFloat      ? CK_FLOAT32
      : type == at::kBFloat16 ? CK_BFLOAT16
                              : CK_INT8,
      keys.size(2),
      view.start,
      view.rows,
      keys.mutable_data_ptr(),
      values.mutable_data_ptr(),
      view.key_scales ? mutableData(view.key_scales->value) : nullptr,
      view.value_scales ? mutableData(view.value_scales->value) : nullptr};
}

}  // namespace wideband

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
            wideband::data(norm),
            wideband::data(owned[0]),
            wideband::data(owned[1]),
            wideband::retaining(source.query, owned),
            wideband::retaining(source.key, owned),
            wideband::retaining(source.value, owned),
            wideband::retaining(source.output, owned)} {}

  wb_attention_weights(const wb_attention_weights &) = delete;

  /// Whether the kernels can read all of a sublayer's weights in place.
  static bool isPossible(const wb_attention_layer &source) {
    if (source.norm->value.is_cuda()) return wideband::isAttentionOnGPU(source);
    for (const wb_tensor *norm : {source.norm, source.query_norm, source.key_norm})
      if (!wideband::isReadableNorm(norm)) return false;
    for (const wb_matrix &matrix : {source.query, source.key, source.value, source.output})
      if (!wideband::isReadable(matrix)) return false;
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
      gate.push_back(wideband::retaining(source.gate[each], owned));
      up.push_back(wideband::retaining(source.up[each], owned));
      down.push_back(wideband::retaining(source.down[each], owned));
    }
    if (source.router) router = wideband::retaining({source.router, nullptr, source.router->value.size(1)}, owned);
    layer = {
        float(source.epsilon),
        wideband::data(norm),
        source.router ? &router : nullptr,
        source.experts,
        source.chosen,
        source.renormalizes,
        gate.data(),
        up.data(),
        down.data()};
  }

  wb_feed_forward(const wb_feed_forward &) = delete;

  /// Whether the kernels can read all of a sublayer's matrices in place.
  static bool isPossible(const wb_feed_forward_layer &source) {
    if (source.norm->value.is_cuda()) return wideband::isFeedForwardOnGPU(source);
    if (!wideband::isReadableNorm(source.norm)) return false;
    if (source.router && !wideband::isFusible(source.router->value)) return false;
    if (source.experts < 1 || source.gate[0].inputs != source.norm->value.numel()) return false;
    for (int64_t each = 0; each < source.experts; each++)
      for (const auto *matrices : {source.gate, source.up, source.down})
        if (!wideband::isReadable(matrices[each])) return false;
    return true;
  }
};

wb_attention_weights *wb_attention_weights_create(const wb_attention_layer *layer) {
  return wideband::guarded<wb_attention_weights *>(
      nullptr, [&] { return wb_attention_weights::isPossible(*layer) ? new wb_attention_weights(*layer) : nullptr; });
}

void wb_attention_weights_release(wb_attention_weights *weights) { delete weights; }

bool wb_attention_sublayer_is_supported(const wb_tensor *x, const wb_attention_weights *weights) {
  if (x->value.is_cuda()) return wideband::isAttentionSublayerOnGPU(x->value, weights->norm, weights->layer);
  return wideband::isSkinnyStep(x->value, weights->norm);
}

wb_tensor *wb_attention_sublayer(
    const wb_tensor *x, const wb_attention_weights *weights, const wb_kv_view *sequences, int64_t count,
    const wb_tensor *cosine, const wb_tensor *sine, const wb_tensor *starts, bool adds_input) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    if (x->value.is_cuda())
      return wideband::handle(wideband::attentionSublayerOnGPU(
          x->value, weights->layer, sequences, count, cosine->value, sine->value, starts ? starts->value : at::Tensor(),
          adds_input));
    TORCH_CHECK(!starts, "starts in memory are for kernels of a GPU");
    const auto input = x->value.contiguous();
    const auto cosines = cosine->value.contiguous(), sines = sine->value.contiguous();
    std::vector<ck_kv_view> views;
    int64_t rows = 0;
    for (int64_t each = 0; each < count; each++) {
      views.push_back(wideband::kvViewOf(sequences[each]));
      rows += sequences[each].rows;
    }
    TORCH_CHECK(
        rows * input.size(-1) == input.numel() && cosines.numel() == rows * weights->layer.head_size &&
            sines.numel() == cosines.numel(),
        "the sequences have ", rows, " new positions");
    auto y = wideband::resultLike(input);
    const ck_attention_sublayer_args args{
        .layer = &weights->layer,
        .sequences = views.data(),
        .count = count,
        .x = wideband::data(input),
        .cosine = wideband::data(cosines),
        .sine = wideband::data(sines),
        .adds_input = adds_input,
        .y = wideband::mutableData(y)};
    TORCH_CHECK(ck_attention_sublayer(&args, wideband::threadCount()), "the sizes are impossible");
    return wideband::handle(y);
  });
}

wb_feed_forward *wb_feed_forward_create(const wb_feed_forward_layer *layer) {
  return wideband::guarded<wb_feed_forward *>(
      nullptr, [&] { return wb_feed_forward::isPossible(*layer) ? new wb_feed_forward(*layer) : nullptr; });
}

void wb_feed_forward_release(wb_feed_forward *weights) { delete weights; }

bool wb_feed_forward_sublayer_is_supported(const wb_tensor *x, const wb_feed_forward *weights) {
  if (x->value.is_cuda()) return wideband::isFeedForwardSublayerOnGPU(x->value, weights->norm, weights->layer);
  return wideband::isSkinnyStep(x->value, weights->norm);
}

wb_tensor *wb_feed_forward_sublayer(const wb_tensor *x, const wb_feed_forward *weights, bool adds_input) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    if (x->value.is_cuda())
      return wideband::handle(wideband::feedForwardSublayerOnGPU(x->value, weights->layer, adds_input));
    const auto input = x->value.contiguous();
    auto y = wideband::resultLike(input);
    const ck_feed_forward_sublayer_args args{
        .layer = &weights->layer,
        .rows = input.numel() / input.size(-1),
        .x = wideband::data(input),
        .adds_input = adds_input,
        .y = wideband::mutableData(y)};
    TORCH_CHECK(ck_feed_forward_sublayer(&args, wideband::threadCount()), "the sizes are impossible");
    return wideband::handle(y);
  });
}

wb_tensor *wb_argmax(const wb_tensor *x) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    TORCH_CHECK(x->value.dim() == 2, "expected rows [R, V]");
    const auto rows = x->value.contiguous();
    auto indices = at::empty({rows.size(0)}, rows.options().dtype(at::kLong));
    const ck_argmax_args args{
        .rows = rows.size(0),
        .width = rows.size(1),
        .x = wideband::data(rows),
        .indices = indices.mutable_data_ptr<int64_t>()};
    TORCH_CHECK(ck_argmax(&args, wideband::threadCount()), "the sizes are impossible");
    return wideband::handle(indices);
  });
}

wb_tensor *wb_sample(
    const wb_tensor *x, const wb_tensor *uniform, const wb_tensor *seen, double temperature, int64_t top_k,
    double top_p, double min_p, double repetition_penalty) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    TORCH_CHECK(x->value.dim() == 2, "expected rows [R, V]");
    const auto rows = x->value.contiguous(), numbers = uniform->value.contiguous();
    TORCH_CHECK(numbers.numel() == rows.size(0) && numbers.scalar_type() == at::kDouble, "expected one number a row");
    const auto known = seen ? seen->value.expand_as(rows).contiguous() : at::Tensor();
    TORCH_CHECK(!seen || known.scalar_type() == at::kBool, "expected whether tokens were seen");
    const ck_sampling_settings settings{temperature, top_k, top_p, min_p, repetition_penalty};
    auto indices = at::empty({rows.size(0)}, rows.options().dtype(at::kLong));
    const ck_sample_args args{
        .rows = rows.size(0),
        .width = rows.size(1),
        .x = wideband::data(rows),
        .uniform = static_cast<const double *>(numbers.const_data_ptr()),
        .seen = seen ? static_cast<const bool *>(known.const_data_ptr()) : nullptr,
        .settings = &settings,
        .indices = indices.mutable_data_ptr<int64_t>()};
    TORCH_CHECK(ck_sample(&args, wideband::threadCount()), "the sizes are impossible");
    return wideband::handle(indices);
  });
}

int wb_maximum_skinny_rows(void) { return ck_maximum_skinny_rows; }

bool wb_worker_team_begin(void) { return ck_worker_team_begin(wideband::threadCount()); }

void wb_worker_team_end(void) { ck_worker_team_end(); }
