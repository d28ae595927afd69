// The entry points of the rest of a layer and of the optimizer: arguments checked, then handed to the vector code in use.
#include "Kernels.hpp"

namespace ckernels {
namespace {

bool isPossible(const RotaryNormJob &job) {
  return job.tokens >= 0 && job.heads >= 1 && job.width >= 2 && job.width % 2 == 0 && job.width <= largest &&
         job.period >= 1;
}

bool isPossible(const AdamWJob &job) {
  if (job.count < 0 || (job.settings && job.settings->step < 1)) return false;
  for (int64_t i = 0; i < job.count; i++)
    if (job.parameters[i].count < 0) return false;
  return true;
}

bool run(const RowsJob &job, int threads) {
  if (job.pieces < 0 || job.perToken < 1 || job.width < 1) return false;
  return job.pieces == 0 || code().moveRows(job, threads);
}

bool run(const AttentionJob &job, int threads) {
  if (job.batch < 0 || job.length < 0 || job.keys.length < job.length || job.keys.length > largest || job.width < 1 ||
      job.width > largest || job.keyHeads < 1 || job.heads < job.keyHeads || job.heads % job.keyHeads != 0)
    return false;
  return job.batch == 0 || job.length == 0 || code().attention(job, threads);
}

}  // namespace
}  // namespace ckernels

using namespace ckernels;

bool ck_swiglu(int64_t count, const float *gate, const float *up, float *product, int threads) {
  const SwiGLUJob job{count, gate, up, product};
  return count >= 0 && (count == 0 || code().swiglu(job, threads));
}

bool ck_swiglu_backward(
    int64_t count, const float *gate, const float *up, const float *product_gradient, float *product,
    float *gate_gradient, float *up_gradient, int threads) {
  const SwiGLUJob job{count, gate, up, product, product_gradient, gate_gradient, up_gradient};
  return count >= 0 && (count == 0 || code().swiglu(job, threads));
}

bool ck_rotary_norm(
    int64_t tokens, int64_t heads, int64_t width, int64_t period, const float *x, const float *weight,
    const float *cosine, const float *sine, float epsilon, float *y, float *scale, int threads) {
  const RotaryNormJob job{tokens, heads, width, period, x, weight, cosine, sine, epsilon, y, scale};
  return isPossible(job) && (tokens == 0 || code().rotaryNorm(job, threads));
}

bool ck_rotary_norm_backward(
    int64_t tokens, int64_t heads, int64_t width, int64_t period, const float *x, const float *weight,
    const float *cosine, const float *sine, const float *scale, const float *y_gradient, float *x_gradient,
    float *weight_gradient, int threads) {
  RotaryNormJob job{tokens, heads, width, period, x, weight, cosine, sine};
  job.savedScale = scale;
  job.yGradient = y_gradient;
  job.xGradient = x_gradient;
  job.weightGradient = weight_gradient;
  return isPossible(job) && (tokens == 0 || code().rotaryNormBackward(job, threads));
}

bool ck_cross_entropy(
    int64_t rows, int64_t width, float *logits, const int64_t *targets, float *losses, bool leaves_gradient,
    float scale, int threads) {
  const CrossEntropyJob job{rows, width, logits, targets, losses, leaves_gradient, scale};
  if (rows < 0 || width < 1) return false;
  for (int64_t row = 0; row < rows; row++)
    if (targets[row] >= width) return false;
  return rows == 0 || code().crossEntropy(job, threads);
}

bool ck_adamw(const ck_parameter *parameters, int64_t count, const ck_adamw_settings *settings, int threads) {
  const AdamWJob job{.count = count, .parameters = parameters, .settings = settings};
  return isPossible(job) && code().adamW(job, threads);
}

bool ck_gradient_norm(const ck_parameter *parameters, int64_t count, double *norm, int threads) {
  const AdamWJob job{.count = count, .parameters = parameters, .norm = norm};
  return isPossible(job) && code().adamW(job, threads);
}

bool ck_spread_rows(
    int64_t rows, int64_t per_token, int64_t width, const int64_t *sendings, const float *scales, const float *x,
    float *out, int threads) {
  return run(RowsJob{rows, per_token, width, sendings, scales, x, nullptr, out}, threads);
}

bool ck_gather_rows(
    int64_t tokens, int64_t per_token, int64_t width, const int64_t *places, const float *scales, const float *rows,
    float *sums, int threads) {
  return run(RowsJob{tokens, per_token, width, places, scales, nullptr, rows, sums}, threads);
}

bool ck_row_products(
    int64_t tokens, int64_t per_token, int64_t width, const int64_t *places, const float *x, const float *rows,
    float *products, int threads) {
  return run(RowsJob{tokens, per_token, width, places, nullptr, x, rows, products}, threads);
}

bool ck_attention(
    int64_t batch, int64_t length, int64_t heads, int64_t key_heads, int64_t width, float scale, const float *query,
    const float *key, const float *value, ck_key_layout layout, float *output, float *logarithms, int threads) {
  const AttentionJob job{batch, length, heads, key_heads, width, scale, query, key, value, layout, output, logarithms};
  return run(job, threads);
}

bool ck_attention_backward(
    int64_t batch, int64_t length, int64_t heads, int64_t key_heads, int64_t width, float scale, const float *query,
    const float *key, const float *value, const float *output, const float *logarithms, const float *output_gradient,
    float *query_gradient, float *key_gradient, float *value_gradient, int threads) {
  const int64_t position = key_heads * width;
  AttentionJob job{batch, length, heads, key_heads, width, scale, query, key, value, {length, position, width, length * position}};
  job.savedOutput = output;
  job.savedLogarithms = logarithms;
  job.outputGradient = output_gradient;
  job.queryGradient = query_gradient;
  job.keyGradient = key_gradient;
  job.valueGradient = value_gradient;
  return run(job, threads);
}
