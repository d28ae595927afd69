// Products with weights that are read in place: of a few rows in one pass over the weight, of many rows by panels of it as
// floats, and the gradient of the inputs by some rows of it as floats.
#include "Core/Matrices.hpp"

#include <algorithm>

#include "Core/Parallel.hpp"
#include "Core/Products.hpp"

namespace wideband {

bool isReadable(const wb_matrix &matrix) {
  const auto &values = matrix.values->value;
  if (!values.device().is_cpu() || values.dim() != 2 || !values.is_contiguous()) return false;
  switch (values.scalar_type()) {
    case at::kFloat:
    case at::kBFloat16: return !matrix.scales && values.numel() > 0;
    case at::kChar:
    case at::kInt: return matrix.scales && matrix.scales->value.is_contiguous();
    default: return false;
  }
}

ck_weight_format formatOf(const at::Tensor &values) {
  switch (values.scalar_type()) {
    case at::kFloat: return CK_FLOAT32;
    case at::kBFloat16: return CK_BFLOAT16;
    case at::kChar: return CK_INT8;
    default: return CK_INT4;
  }
}

ck_matrix asKernels(const wb_matrix &matrix) {
  const auto &values = matrix.values->value;
  return {
      formatOf(values), values.size(0), matrix.inputs, values.const_data_ptr(),
      matrix.scales ? static_cast<const uint16_t *>(matrix.scales->value.const_data_ptr()) : nullptr};
}

bool isSkinny(const at::Tensor &x, const wb_matrix &weight) {
  return rowsOf(x) <= ck_maximum_skinny_rows && !requiresGradient(x, weight.values->value);
}

at::Tensor skinnyGEMM(const at::Tensor &x, const wb_matrix &weight) {
  const auto input = x.contiguous();
  auto y = resultFor(input, weight.values->value.size(0));
  skinnyGEMM(input, weight, y);
  return y;
}

void skinnyGEMM(const at::Tensor &x, const wb_matrix &weight, const at::Tensor &result) {
  const auto matrix = asKernels(weight);
  const ck_gemm_args args{.rows = rowsOf(x), .x = data(x), .weight = &matrix, .y = mutableData(result)};
  TORCH_CHECK(ck_skinny_gemm(&args, threadCount()), "the sizes are impossible");
}

at::Tensor gemm(const at::Tensor &x, const wb_matrix &weight) {
  const auto input = x.contiguous();
  const auto matrix = asKernels(weight);
  auto y = resultFor(input, matrix.outputs);
  const ck_gemm_args args{.rows = rowsOf(input), .x = data(input), .weight = &matrix, .y = mutableData(y)};
  TORCH_CHECK(ck_gemm(&args, threadCount()), "the sizes are impossible");
  return y;
}

namespace {

/// Calls `body(first, count, floats)` with `count` rows of a matrix at a time as floats, few enough to stay in cache.
template <typename Body>
void forEachBlock(const ck_matrix &matrix, const at::TensorOptions &options, Body &&body) {
  constexpr int64_t together = int64_t(1) << 20;
  const int64_t maximum = std::clamp<int64_t>(together / matrix.inputs, 1, std::max<int64_t>(matrix.outputs, 1));
  auto floats = at::empty({maximum, matrix.inputs}, options);
  for (int64_t first = 0; first < matrix.outputs; first += maximum) {
    const int64_t count = std::min(maximum, matrix.outputs - first);
    const ck_dequantize_args args{.matrix = &matrix, .first = first, .count = count, .y = mutableData(floats)};
    TORCH_CHECK(ck_dequantize(&args, threadCount()), "the sizes are impossible");
    body(first, count, floats.narrow(0, 0, count));
  }
}

}  // namespace

at::Tensor gemmBackward(const at::Tensor &y, const wb_matrix &weight) {
  const auto upstream = y.contiguous();
  const auto matrix = asKernels(weight);
  auto x = resultFor(upstream, matrix.inputs);
  auto rows = asRows(upstream), results = asRows(x);
  forEachBlock(matrix, upstream.options(), [&](int64_t first, int64_t count, const at::Tensor &floats) {
    multiply(rows.narrow(1, first, count).contiguous(), floats, results, first > 0);
  });
  return x;
}

}  // namespace wideband
