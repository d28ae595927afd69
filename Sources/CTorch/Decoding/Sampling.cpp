// The choice of a token from each row of logits.
#include "ckernels_decoding.h"
#include "Core/Internal.hpp"
#include "Core/Parallel.hpp"

using namespace wideband;

wb_tensor *wb_argmax(const wb_tensor *x) {
  return guardedTensor([&] {
    TORCH_CHECK(x->value.dim() == 2, "expected rows [R, V]");
    const auto rows = x->value.contiguous();
    auto indices = at::empty({rows.size(0)}, rows.options().dtype(at::kLong));
    const ck_argmax_args args{
        .rows = rows.size(0), .width = rows.size(1), .x = data(rows), .indices = indices.mutable_data_ptr<int64_t>()};
    TORCH_CHECK(ck_argmax(&args, threadCount()), "the sizes are impossible");
    return indices;
  });
}

wb_tensor *wb_sample(
    const wb_tensor *x, const wb_tensor *uniform, const wb_tensor *seen, double temperature, int64_t top_k,
    double top_p, double min_p, double repetition_penalty) {
  return guardedTensor([&] {
    TORCH_CHECK(x->value.dim() == 2, "expected rows [R, V]");
    const auto rows = x->value.contiguous(), numbers = uniform->value.contiguous();
    TORCH_CHECK(numbers.numel() == rows.size(0) && numbers.scalar_type() == at::kDouble, "expected one number a row");
    const auto known = seen ? seen->value.expand_as(rows).contiguous() : at::Tensor();
    TORCH_CHECK(!seen || known.scalar_type() == at::kBool, "expected whether tokens were seen");
    const ck_sampling_settings settings{
        .temperature = temperature,
        .top_k = top_k,
        .top_p = top_p,
        .min_p = min_p,
        .repetition_penalty = repetition_penalty};
    auto indices = at::empty({rows.size(0)}, rows.options().dtype(at::kLong));
    const ck_sample_args args{
        .rows = rows.size(0),
        .width = rows.size(1),
        .x = data(rows),
        .uniform = static_cast<const double *>(numbers.const_data_ptr()),
        .seen = seen ? static_cast<const bool *>(known.const_data_ptr()) : nullptr,
        .settings = &settings,
        .indices = indices.mutable_data_ptr<int64_t>()};
    TORCH_CHECK(ck_sample(&args, threadCount()), "the sizes are impossible");
    return indices;
  });
}
