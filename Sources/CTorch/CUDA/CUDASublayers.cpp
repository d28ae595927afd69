#include "CUDA/CUDASublayers.hpp"

#include "Core/Matrices.hpp"
#include "Core/Products.hpp"
#include "CUDA/CUDAKernels.hpp"
#include "Decoding/KVViews.hpp"

namespace wideband {
namespace {

/// Whether x [..., width] is on a GPU and has few rows and no derivative to compute.
bool isSkinnyOnGPU(const at::Tensor &x, int64_t width) {
  return isForCUDAKernels(x) && !requiresGradient(x) && x.dim() > 0 && x.numel() > 0 && x.size(-1) == width &&
         rowsOf(x) <= ck_maximum_skinny_rows;
}

bool isAt16Bytes(const at::Tensor &tensor) {
  return tensor.is_contiguous() && reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0;
}

/// Whether the kernels can read a matrix in place, on x's GPU and in one of their formats.
bool isReadableOnGPU(const wb_matrix &matrix, const at::Tensor &x) {
  const auto &values = matrix.values->value;
  if (values.device() != x.device() || values.dim() != 2 || values.numel() == 0 || requiresGradient(values) ||
      !isAt16Bytes(values))
    return false;
  switch (values.scalar_type()) {
    case at::kFloat:
    case at::kBFloat16: return !matrix.scales;
    case at::kChar:
    case at::kInt: return matrix.scales && isAt16Bytes(matrix.scales->value);
    default: return false;
  }
}

/// Whether a norm's weight is float32 on x's device.
bool isNormOnGPU(const wb_tensor *weight, const at::Tensor &x) {
  const auto &value = weight->value;
  return value.device() == x.device() && value.scalar_type() == at::kFloat && isAt16Bytes(value);
}

/// Working memory of a sublayer, from libtorch's allocator: it may be freed before the kernels have run, because only later
/// work of the same stream is given it again.
at::Tensor workspace(int64_t bytes, const at::Tensor &x) {
  TORCH_CHECK(bytes >= 0, ck_cuda_error());
  return at::empty({bytes}, x.options().dtype(at::kByte));
}

}  // namespace

at::Tensor skinnyGEMMOnGPU(const at::Tensor &x, const wb_matrix &weight) {
  if (!isSkinnyOnGPU(x, weight.inputs) || !isReadableOnGPU(weight, x)) return {};
  const auto target = cudaTarget(x);
  const auto matrix = asKernels(weight);
  if (!ck_cuda_skinny_gemm_is_supported(rowsOf(x), &matrix, &target)) {
    reportRefusal("products of a few rows", ck_cuda_error());
    return {};
  }
  const auto input = prepared(x);
  auto y = resultFor(x, matrix.outputs);
  const ck_cuda_gemm_args args{
      .rows = rowsOf(x), .x = input.const_data_ptr(), .weight = &matrix, .y = y.mutable_data_ptr()};
  TORCH_CHECK(ck_cuda_skinny_gemm(&args, &target), ck_cuda_error());
  return y;
}

bool isAttentionOnGPU(const wb_attention_layer &layer) {
  const auto &norm = layer.norm->value;
  for (const wb_tensor *weight : {layer.norm, layer.query_norm, layer.key_norm})
    if (!isNormOnGPU(weight, norm)) return false;
  for (const wb_matrix &matrix : {layer.query, layer.key, layer.value, layer.output})
    if (!isReadableOnGPU(matrix, norm)) return false;
  return true;
}

bool isAttentionSublayerOnGPU(const at::Tensor &x, const at::Tensor &norm, const ck_attention_layer &layer) {
  if (x.device() != norm.device() || !isSkinnyOnGPU(x, norm.numel())) return false;
  const auto target = cudaTarget(x);
  if (ck_cuda_attention_sublayer_is_supported(&layer, rowsOf(x), &target)) return true;
  reportRefusal("attention sublayers of a few positions", ck_cuda_error());
  return false;
}

at::Tensor attentionSublayerOnGPU(
    const at::Tensor &x, const ck_attention_layer &layer, const wb_kv_view *sequences, int64_t count,
    const at::Tensor &cosine, const at::Tensor &sine, const at::Tensor &starts, bool addsInput) {
  const auto input = prepared(x), cosines = prepared(cosine), sines = prepared(sine);
  for (int64_t each = 0; each < count; each++) {
    const auto &keys = sequences[each].keys->value, &values = sequences[each].values->value;
    TORCH_CHECK(
        keys.device() == x.device() && isAt16Bytes(keys) && isAt16Bytes(values),
        "expected contiguous keys and values on ", x.device().str());
  }
  const auto views = kvViewsOf(sequences, count, x, layer.head_size, cosines, sines);
  TORCH_CHECK(
      !starts.defined() || (starts.device() == x.device() && starts.scalar_type() == at::kLong &&
                            starts.is_contiguous() && starts.numel() == count),
      "expected ", count, " starts in int64 on ", x.device().str());
  const auto target = cudaTarget(x);
  auto memory = workspace(ck_cuda_attention_sublayer_workspace(&layer, views.data(), count, &target), x);
  auto y = at::empty_like(input);
  const ck_cuda_attention_sublayer_args args{
      .layer = &layer,
      .sequences = views.data(),
      .count = count,
      .starts = starts.defined() ? static_cast<const int64_t *>(starts.const_data_ptr()) : nullptr,
      .x = input.const_data_ptr(),
      .cosine = data(cosines),
      .sine = data(sines),
      .adds_input = addsInput,
      .y = y.mutable_data_ptr(),
      .workspace = memory.mutable_data_ptr()};
  TORCH_CHECK(ck_cuda_attention_sublayer(&args, &target), ck_cuda_error());
  return y;
}

bool isFeedForwardOnGPU(const wb_feed_forward_layer &layer) {
  // On a GPU experts are computed by composed operators.
  const auto &norm = layer.norm->value;
  return !layer.router && isNormOnGPU(layer.norm, norm) && isReadableOnGPU(layer.gate[0], norm) &&
         isReadableOnGPU(layer.up[0], norm) && isReadableOnGPU(layer.down[0], norm);
}

bool isFeedForwardSublayerOnGPU(const at::Tensor &x, const at::Tensor &norm, const ck_feed_forward_layer &layer) {
  if (x.device() != norm.device() || !isSkinnyOnGPU(x, norm.numel())) return false;
  const auto target = cudaTarget(x);
  if (ck_cuda_feed_forward_sublayer_workspace(&layer, rowsOf(x), &target) >= 0) return true;
  reportRefusal("feed-forward sublayers of a few positions", ck_cuda_error());
  return false;
}

at::Tensor feedForwardSublayerOnGPU(const at::Tensor &x, const ck_feed_forward_layer &layer, bool addsInput) {
  const auto input = prepared(x);
  const auto target = cudaTarget(x);
  auto memory = workspace(ck_cuda_feed_forward_sublayer_workspace(&layer, rowsOf(x), &target), x);
  auto y = at::empty_like(input);
  const ck_cuda_feed_forward_sublayer_args args{
      .layer = &layer,
      .rows = rowsOf(x),
      .x = input.const_data_ptr(),
      .adds_input = addsInput,
      .y = y.mutable_data_ptr(),
      .workspace = memory.mutable_data_ptr()};
  TORCH_CHECK(ck_cuda_feed_forward_sublayer(&args, &target), ck_cuda_error());
  return y;
}

}  // namespace wideband
