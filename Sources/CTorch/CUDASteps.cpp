#include "CUDASteps.hpp"

#include <vector>

#include "CUDAKernels.hpp"
#include "Matrices.hpp"

namespace wideband {
namespace {

int64_t rowsOf(const at::Tensor &x) { return x.numel() / x.size(-1); }

/// Whether x [..., width] is of a few rows that a kernel on a GPU takes, and has no derivative to record.
bool isNarrowOnGPU(const at::Tensor &x, int64_t width) {
  return isForCUDAKernels(x) && !isRecorded(x) && x.dim() > 0 && x.numel() > 0 && x.size(-1) == width &&
         rowsOf(x) <= mostNarrowRows;
}

bool isAt16Bytes(const at::Tensor &tensor) {
  return tensor.is_contiguous() && reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0;
}

/// Whether the kernels can read a matrix where it lies, on x's GPU and in a form of theirs.
bool isReadableOnGPU(const wb_matrix &matrix, const at::Tensor &x) {
  const auto &values = matrix.values->value;
  if (values.device() != x.device() || values.dim() != 2 || values.numel() == 0 || isRecorded(values) ||
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

/// Whether a norm's weight lies beside x in float32.
bool isNormOnGPU(const wb_tensor *weight, const at::Tensor &x) {
  const auto &value = weight->value;
  return value.device() == x.device() && value.scalar_type() == at::kFloat && isAt16Bytes(value);
}

/// `memoryOf` for a text that lies beside x, where the kernels of a GPU can read it.
ck_memory memoryBeside(const at::Tensor &x, const wb_memory &text) {
  const auto &keys = text.keys->value, &values = text.values->value;
  TORCH_CHECK(
      keys.device() == x.device() && isAt16Bytes(keys) && isAt16Bytes(values),
      "keys and values do not lie whole on ", x.device().str());
  return memoryOf(text);
}

/// Memory of a step for its own use, on libtorch's terms: it lasts until the stream's work so far is done.
at::Tensor workspace(int64_t bytes, const at::Tensor &x) {
  TORCH_CHECK(bytes >= 0, ck_cuda_error());
  return at::empty({bytes}, x.options().dtype(at::kByte));
}

}  // namespace

at::Tensor narrowProductOnGPU(const at::Tensor &x, const wb_matrix &weight) {
  if (!isNarrowOnGPU(x, weight.inputs) || !isReadableOnGPU(weight, x)) return {};
  const auto target = cudaTarget(x);
  const auto matrix = asKernels(weight);
  if (!ck_cuda_narrow_product_is_supported(rowsOf(x), &matrix, &target)) {
    reportRefusal("products of a few rows", ck_cuda_error());
    return {};
  }
  const auto input = prepared(x);
  auto shape = x.sizes().vec();
  shape.back() = matrix.outputs;
  auto y = at::empty(shape, x.options());
  TORCH_CHECK(
      ck_cuda_narrow_product(rowsOf(x), input.const_data_ptr(), &matrix, y.mutable_data_ptr(), &target),
      ck_cuda_error());
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

bool isAttentionStepOnGPU(const at::Tensor &x, const at::Tensor &norm, const ck_attention_layer &layer) {
  if (x.device() != norm.device() || !isNarrowOnGPU(x, norm.numel())) return false;
  const auto target = cudaTarget(x);
  if (ck_cuda_attention_step_is_supported(&layer, rowsOf(x), &target)) return true;
  reportRefusal("attention sublayers of a few positions", ck_cuda_error());
  return false;
}

at::Tensor attentionStepOnGPU(
    const at::Tensor &x, const ck_attention_layer &layer, const wb_memory *texts, int64_t count, const at::Tensor &cosine,
    const at::Tensor &sine, const at::Tensor &starts, bool addsInput) {
  const auto input = prepared(x), cosines = prepared(cosine), sines = prepared(sine);
  std::vector<ck_memory> memories;
  int64_t rows = 0;
  for (int64_t text = 0; text < count; text++) {
    memories.push_back(memoryBeside(x, texts[text]));
    rows += texts[text].rows;
  }
  TORCH_CHECK(
      rows == rowsOf(x) && cosines.numel() == rows * layer.head_size && sines.numel() == cosines.numel(),
      "the texts have ", rows, " new positions");
  TORCH_CHECK(
      !starts.defined() || (starts.device() == x.device() && starts.scalar_type() == at::kLong &&
                            starts.is_contiguous() && starts.numel() == count),
      "the starts of ", count, " texts are not as many whole numbers on ", x.device().str());
  const auto target = cudaTarget(x);
  auto room = workspace(ck_cuda_attention_step_workspace(&layer, memories.data(), count, &target), x);
  auto y = at::empty_like(input);
  TORCH_CHECK(
      ck_cuda_attention_step(
          &layer, memories.data(), count,
          starts.defined() ? static_cast<const int64_t *>(starts.const_data_ptr()) : nullptr, input.const_data_ptr(),
          data(cosines), data(sines), addsInput, y.mutable_data_ptr(), room.mutable_data_ptr(), &target),
      ck_cuda_error());
  return y;
}

bool isFeedForwardOnGPU(const wb_feed_forward_layer &layer) {
  // Experts are the composed operators' on a GPU.
  const auto &norm = layer.norm->value;
  return !layer.router && isNormOnGPU(layer.norm, norm) && isReadableOnGPU(layer.gate[0], norm) &&
         isReadableOnGPU(layer.up[0], norm) && isReadableOnGPU(layer.down[0], norm);
}

bool isFeedForwardStepOnGPU(const at::Tensor &x, const at::Tensor &norm, const ck_feed_forward_layer &layer) {
  if (x.device() != norm.device() || !isNarrowOnGPU(x, norm.numel())) return false;
  const auto target = cudaTarget(x);
  if (ck_cuda_feed_forward_step_workspace(&layer, rowsOf(x), &target) >= 0) return true;
  reportRefusal("feed-forward sublayers of a few positions", ck_cuda_error());
  return false;
}

at::Tensor feedForwardStepOnGPU(const at::Tensor &x, const ck_feed_forward_layer &layer, bool addsInput) {
  const auto input = prepared(x);
  const auto target = cudaTarget(x);
  auto room = workspace(ck_cuda_feed_forward_step_workspace(&layer, rowsOf(x), &target), x);
  auto y = at::empty_like(input);
  TORCH_CHECK(
      ck_cuda_feed_forward_step(
          &layer, rowsOf(x), input.const_data_ptr(), addsInput, y.mutable_data_ptr(), room.mutable_data_ptr(),
          &target),
      ck_cuda_error());
  return y;
}

}  // namespace wideband
