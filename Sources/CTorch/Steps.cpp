// The sublayers of decoding: tensors checked, then handed to the kernels.
#include <ATen/EmptyTensor.h>

#include <vector>

#include "CUDASteps.hpp"
#include "Internal.h"
#include "Matrices.hpp"
#include "Parallel.hpp"
#include "Products.hpp"
#include "ckernels.h"
#include "ckernels_decoding.h"

namespace wideband {
namespace {

bool isStep(const at::Tensor &x, const at::Tensor &norm) {
  return isFusible(x) && !isRecorded(x) && x.size(-1) == norm.numel() && x.numel() <= mostNarrowRows * x.size(-1);
}

/// Whether the kernels can read a norm's weight where it lies.
bool isReadableNorm(const wb_tensor *norm) { return isFusible(norm->value) && norm->value.is_contiguous(); }

/// A matrix as the kernels take it, which points into tensors that `kept` has from now on.
ck_matrix keeping(const wb_matrix &matrix, std::vector<at::Tensor> &kept) {
  kept.push_back(matrix.values->value);
  if (matrix.scales) kept.push_back(matrix.scales->value);
  return asKernels(matrix);
}

/// A tensor in the shape of a step's contiguous input, without a way through libtorch's dispatcher: that code has long
/// left the caches when it is next called.
at::Tensor resultLike(const at::Tensor &input) {
  return at::detail::empty_cpu(input.sizes(), at::kFloat);
}

}  // namespace

ck_memory memoryOf(const wb_memory &text) {
  const auto &keys = text.keys->value, &values = text.values->value;
  const auto type = keys.scalar_type();
  TORCH_CHECK(
      keys.dim() == 4 && keys.size(0) == 1 && keys.is_contiguous() && values.is_contiguous() &&
          keys.sizes() == values.sizes() && text.start >= 0 && text.start + text.rows <= keys.size(2),
      "keys and values [1, K, capacity, hd] have no room for positions ", text.start, " to ", text.start + text.rows);
  return {
      type == at::kFloat ? CK_FLOAT32 : type == at::kBFloat16 ? CK_BFLOAT16 : CK_INT8,
      keys.size(2),
      text.start,
      text.rows,
      keys.mutable_data_ptr(),
      values.mutable_data_ptr(),
      text.key_scales ? mutableData(text.key_scales->value) : nullptr,
      text.value_scales ? mutableData(text.value_scales->value) : nullptr};
}

}  // namespace wideband

/// An attention sublayer as the kernels take it, and the tensors that it points into.
struct wb_attention_weights {
  at::Tensor norm;
  std::vector<at::Tensor> kept;
  ck_attention_layer layer;

  explicit wb_attention_weights(const wb_attention_layer &source)
      : norm(source.norm->value), kept{source.query_norm->value, source.key_norm->value},
        layer{
            source.heads, source.key_value_heads, source.head_size, float(source.epsilon),
            wideband::data(norm), wideband::data(kept[0]), wideband::data(kept[1]),
            wideband::keeping(source.query, kept), wideband::keeping(source.key, kept),
            wideband::keeping(source.value, kept), wideband::keeping(source.output, kept)} {}

  wb_attention_weights(const wb_attention_weights &) = delete;

  /// Whether the kernels can read all of a sublayer's weights where they lie.
  static bool isPossible(const wb_attention_layer &source) {
    if (source.norm->value.is_cuda()) return wideband::isAttentionOnGPU(source);
    for (const wb_tensor *norm : {source.norm, source.query_norm, source.key_norm})
      if (!wideband::isReadableNorm(norm)) return false;
    for (const wb_matrix &matrix : {source.query, source.key, source.value, source.output})
      if (!wideband::isReadable(matrix)) return false;
    const auto form = source.query.values->value.scalar_type();
    return source.query.inputs == source.norm->value.numel() && source.key.values->value.scalar_type() == form &&
           source.value.values->value.scalar_type() == form && source.head_size % 2 == 0;
  }
};

/// A feed-forward sublayer as the kernels take it, which points into itself and into tensors that it keeps.
struct wb_feed_forward {
  at::Tensor norm;
  std::vector<at::Tensor> kept;
  std::vector<ck_matrix> gate, up, down;
  ck_matrix router{};
  ck_feed_forward_layer layer{};

  explicit wb_feed_forward(const wb_feed_forward_layer &source) : norm(source.norm->value) {
    for (int64_t each = 0; each < source.experts; each++) {
      gate.push_back(wideband::keeping(source.gate[each], kept));
      up.push_back(wideband::keeping(source.up[each], kept));
      down.push_back(wideband::keeping(source.down[each], kept));
    }
    if (source.router) router = wideband::keeping({source.router, nullptr, source.router->value.size(1)}, kept);
    layer = {
        float(source.epsilon), wideband::data(norm), source.router ? &router : nullptr, source.experts, source.chosen,
        source.renormalizes, gate.data(), up.data(), down.data()};
  }

  wb_feed_forward(const wb_feed_forward &) = delete;

  /// Whether the kernels can read all of a sublayer's matrices where they lie.
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

bool wb_attention_step_is_supported(const wb_tensor *x, const wb_attention_weights *weights) {
  if (x->value.is_cuda()) return wideband::isAttentionStepOnGPU(x->value, weights->norm, weights->layer);
  return wideband::isStep(x->value, weights->norm);
}

wb_tensor *wb_attention_step(
    const wb_tensor *x, const wb_attention_weights *weights, const wb_memory *texts, int64_t count, const wb_tensor *cosine,
    const wb_tensor *sine, const wb_tensor *starts, bool adds_input) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    if (x->value.is_cuda())
      return wideband::handle(wideband::attentionStepOnGPU(
          x->value, weights->layer, texts, count, cosine->value, sine->value, starts ? starts->value : at::Tensor(),
          adds_input));
    TORCH_CHECK(!starts, "starts in memory are for a GPU's kernels");
    const auto input = x->value.contiguous();
    const auto cosines = cosine->value.contiguous(), sines = sine->value.contiguous();
    std::vector<ck_memory> memories;
    int64_t rows = 0;
    for (int64_t text = 0; text < count; text++) {
      memories.push_back(wideband::memoryOf(texts[text]));
      rows += texts[text].rows;
    }
    TORCH_CHECK(
        rows * input.size(-1) == input.numel() && cosines.numel() == rows * weights->layer.head_size &&
            sines.numel() == cosines.numel(),
        "the texts have ", rows, " new positions");
    auto y = wideband::resultLike(input);
    TORCH_CHECK(
        ck_attention_step(
            &weights->layer, memories.data(), count, wideband::data(input), wideband::data(cosines), wideband::data(sines),
            adds_input, wideband::mutableData(y), wideband::threadCount()),
        "the sizes are impossible");
    return wideband::handle(y);
  });
}

wb_feed_forward *wb_feed_forward_create(const wb_feed_forward_layer *layer) {
  return wideband::guarded<wb_feed_forward *>(
      nullptr, [&] { return wb_feed_forward::isPossible(*layer) ? new wb_feed_forward(*layer) : nullptr; });
}

void wb_feed_forward_release(wb_feed_forward *weights) { delete weights; }

bool wb_feed_forward_step_is_supported(const wb_tensor *x, const wb_feed_forward *weights) {
  if (x->value.is_cuda()) return wideband::isFeedForwardStepOnGPU(x->value, weights->norm, weights->layer);
  return wideband::isStep(x->value, weights->norm);
}

wb_tensor *wb_feed_forward_step(const wb_tensor *x, const wb_feed_forward *weights, bool adds_input) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    if (x->value.is_cuda()) return wideband::handle(wideband::feedForwardStepOnGPU(x->value, weights->layer, adds_input));
    const auto input = x->value.contiguous();
    auto y = wideband::resultLike(input);
    TORCH_CHECK(
        ck_feed_forward_step(
            &weights->layer, input.numel() / input.size(-1), wideband::data(input), adds_input,
            wideband::mutableData(y), wideband::threadCount()),
        "the sizes are impossible");
    return wideband::handle(y);
  });
}

wb_tensor *wb_largest(const wb_tensor *x) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    TORCH_CHECK(x->value.dim() == 2, "expected rows [R, V]");
    const auto rows = x->value.contiguous();
    auto places = at::empty({rows.size(0)}, rows.options().dtype(at::kLong));
    TORCH_CHECK(
        ck_largest(
            rows.size(0), rows.size(1), wideband::data(rows), places.mutable_data_ptr<int64_t>(),
            wideband::threadCount()),
        "the sizes are impossible");
    return wideband::handle(places);
  });
}

wb_tensor *wb_draw(
    const wb_tensor *x, const wb_tensor *numbers, const wb_tensor *seen, double temperature, int64_t top_k, double top_p,
    double min_p, double repetition_penalty) {
  return wideband::guarded<wb_tensor *>(nullptr, [&] {
    TORCH_CHECK(x->value.dim() == 2, "expected rows [R, V]");
    const auto rows = x->value.contiguous(), drawn = numbers->value.contiguous();
    TORCH_CHECK(drawn.numel() == rows.size(0) && drawn.scalar_type() == at::kDouble, "expected a number a row");
    const auto known = seen ? seen->value.expand_as(rows).contiguous() : at::Tensor();
    TORCH_CHECK(!seen || known.scalar_type() == at::kBool, "expected whether tokens were seen");
    const ck_draw_settings settings{temperature, top_k, top_p, min_p, repetition_penalty};
    auto places = at::empty({rows.size(0)}, rows.options().dtype(at::kLong));
    TORCH_CHECK(
        ck_draw(
            rows.size(0), rows.size(1), wideband::data(rows), static_cast<const double *>(drawn.const_data_ptr()),
            seen ? static_cast<const bool *>(known.const_data_ptr()) : nullptr, &settings, places.mutable_data_ptr<int64_t>(),
            wideband::threadCount()),
        "the sizes are impossible");
    return wideband::handle(places);
  });
}

void wb_stand_by(void (*body)(void *), void *context) { ck_stand_by(wideband::threadCount(), body, context); }
