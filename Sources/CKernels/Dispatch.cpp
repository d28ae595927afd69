// The entry points: arguments checked, then handed to the vector code in use.
#include <atomic>
#include <cstring>

#include "Kernels.hpp"

namespace ckernels {
namespace {

bool isSupported(const VectorCode &code) {
#if defined(__x86_64__)
  if (&code == &avx512Code)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
  if (&code == &avx2Code) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &code == &portableCode;
}

const VectorCode *const allCodes[] = {
#if defined(__x86_64__)
    &avx512Code,
    &avx2Code,
#endif
    &portableCode,
};

const VectorCode *best() {
  for (const VectorCode *code : allCodes)
    if (isSupported(*code)) return code;
  return &portableCode;
}

std::atomic<const VectorCode *> &current() {
  static std::atomic<const VectorCode *> code{best()};
  return code;
}

const VectorCode &code() { return *current().load(std::memory_order_relaxed); }

// Sizes beyond this could overflow the products of sizes the kernels form.
constexpr int64_t largest = int64_t(1) << 20;

bool isPossible(const ck_connection &connection) {
  return connection.fraction_rate >= 1 && connection.slots >= connection.fraction_rate &&
         connection.slots <= largest && connection.slot_width >= 1 && connection.slot_width <= largest;
}

bool haveOneShape(const ck_connection &a, const ck_connection &b) {
  return a.fraction_rate == b.fraction_rate && a.slots == b.slots && a.slot_width == b.slot_width;
}

bool run(const ForwardJob &job, int threads) {
  if (job.tokens < 0 || (job.writer && !isPossible(*job.writer)) || (job.reader && !isPossible(*job.reader)) ||
      (job.writer && job.reader && !haveOneShape(*job.writer, *job.reader)))
    return false;
  return job.tokens == 0 || code().forward(job, threads);
}

bool run(const BackwardJob &job, int threads) {
  if (job.tokens < 0 || (job.connection && !isPossible(*job.connection)) ||
      (job.writer && !isPossible(*job.writer)) ||
      (job.connection && job.writer && !haveOneShape(*job.connection, *job.writer)))
    return false;
  return job.tokens == 0 || code().backward(job, threads);
}

bool isPossible(const NormJob &job) { return job.rows >= 0 && job.width >= 1; }

bool isPossible(const RotaryNormJob &job) {
  return job.tokens >= 0 && job.heads >= 1 && job.width >= 2 && job.width % 2 == 0 && job.width <= largest &&
         job.period >= 1;
}

bool isPossible(const GroupNormJob &job) {
  return job.rows >= 0 && job.groups >= 1 && job.groups <= largest && job.width >= 1 && job.width <= largest;
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
  if (job.batch < 0 || job.length < 0 || job.length > largest || job.width < 1 || job.width > largest ||
      job.keyHeads < 1 || job.heads < job.keyHeads || job.heads % job.keyHeads != 0)
    return false;
  return job.batch == 0 || job.length == 0 || code().attention(job, threads);
}

}  // namespace
}  // namespace ckernels

using namespace ckernels;

bool ck_connection_read(
    const ck_connection *connection, int64_t tokens, const float *state, float *input, int threads) {
  return run(ForwardJob{.reader = connection, .tokens = tokens, .state = state, .input = input}, threads);
}

bool ck_connection_write(
    const ck_connection *connection, int64_t tokens, const float *state, const float *output, float *next_state,
    float *beta, int threads) {
  return ck_connection_write_read(connection, nullptr, tokens, state, output, next_state, beta, nullptr, threads);
}

bool ck_connection_write_read(
    const ck_connection *connection, const ck_connection *next, int64_t tokens, const float *state,
    const float *output, float *next_state, float *beta, float *next_input, int threads) {
  return run(
      ForwardJob{
          .writer = connection,
          .reader = next,
          .tokens = tokens,
          .state = state,
          .output = output,
          .nextState = next_state,
          .beta = beta,
          .input = next_input},
      threads);
}

bool ck_connection_write_backward(
    const ck_connection *connection, int64_t tokens, const float *state, const float *beta,
    const float *next_state_gradient, float *output_gradient, int threads) {
  return run(
      BackwardJob{
          .writer = connection,
          .tokens = tokens,
          .writerState = state,
          .writerBeta = beta,
          .writerNextStateGradient = next_state_gradient,
          .writerOutputGradient = output_gradient},
      threads);
}

bool ck_connection_backward(
    const ck_connection *connection, int64_t tokens, const float *state, const float *output,
    const float *input_gradient, const float *next_state_gradient, float *state_gradient,
    const ck_connection_gradients *gradients, int threads) {
  return ck_connection_backward_write_backward(
      connection, nullptr, tokens, state, output, input_gradient, next_state_gradient, nullptr, nullptr,
      state_gradient, nullptr, gradients, threads);
}

bool ck_connection_backward_write_backward(
    const ck_connection *connection, const ck_connection *previous, int64_t tokens, const float *state,
    const float *output, const float *input_gradient, const float *next_state_gradient, const float *previous_state,
    const float *previous_beta, float *state_gradient, float *previous_output_gradient,
    const ck_connection_gradients *gradients, int threads) {
  return run(
      BackwardJob{
          .connection = connection,
          .writer = previous,
          .tokens = tokens,
          .state = state,
          .output = output,
          .inputGradient = input_gradient,
          .nextStateGradient = next_state_gradient,
          .stateGradient = state_gradient,
          .gradients = gradients,
          .writerState = previous_state,
          .writerBeta = previous_beta,
          .writerNextStateGradient = state_gradient,
          .writerOutputGradient = previous_output_gradient},
      threads);
}

bool ck_rms_norm(
    int64_t rows, int64_t width, const float *x, const float *weight, float epsilon, float *y, float *scale,
    int threads) {
  const NormJob job{
      .rows = rows, .width = width, .x = x, .weight = weight, .epsilon = epsilon, .y = y, .scale = scale};
  return isPossible(job) && (rows == 0 || code().norm(job, threads));
}

bool ck_rms_norm_backward(
    int64_t rows, int64_t width, const float *x, const float *weight, const float *scale, const float *y_gradient,
    float *x_gradient, float *weight_gradient, int threads) {
  const NormJob job{
      .rows = rows,
      .width = width,
      .x = x,
      .weight = weight,
      .savedScale = scale,
      .yGradient = y_gradient,
      .xGradient = x_gradient,
      .weightGradient = weight_gradient};
  return isPossible(job) && (rows == 0 || code().normBackward(job, threads));
}

bool ck_group_norm(
    int64_t rows, int64_t groups, int64_t width, const float *x, const float *weight, const float *bias, float epsilon,
    float *y, float *statistics, int threads) {
  const GroupNormJob job{
      .rows = rows,
      .groups = groups,
      .width = width,
      .x = x,
      .weight = weight,
      .bias = bias,
      .epsilon = epsilon,
      .y = y,
      .statistics = statistics};
  return isPossible(job) && (rows == 0 || code().groupNorm(job, threads));
}

bool ck_group_norm_backward(
    int64_t rows, int64_t groups, int64_t width, const float *x, const float *weight, const float *statistics,
    const float *y_gradient, float *x_gradient, float *weight_gradient, float *bias_gradient, int threads) {
  const GroupNormJob job{
      .rows = rows,
      .groups = groups,
      .width = width,
      .x = x,
      .weight = weight,
      .savedStatistics = statistics,
      .yGradient = y_gradient,
      .xGradient = x_gradient,
      .weightGradient = weight_gradient,
      .biasGradient = bias_gradient};
  return isPossible(job) && (rows == 0 || code().groupNormBackward(job, threads));
}

bool ck_swiglu(int64_t count, const float *gate, const float *up, float *product, int threads) {
  const SwiGLUJob job{.count = count, .gate = gate, .up = up, .product = product};
  return count >= 0 && (count == 0 || code().swiglu(job, threads));
}

bool ck_swiglu_backward(
    int64_t count, const float *gate, const float *up, const float *product_gradient, float *product,
    float *gate_gradient, float *up_gradient, int threads) {
  const SwiGLUJob job{
      .count = count,
      .gate = gate,
      .up = up,
      .product = product,
      .productGradient = product_gradient,
      .gateGradient = gate_gradient,
      .upGradient = up_gradient};
  return count >= 0 && (count == 0 || code().swiglu(job, threads));
}

bool ck_rotary_norm(
    int64_t tokens, int64_t heads, int64_t width, int64_t period, const float *x, const float *weight,
    const float *cosine, const float *sine, float epsilon, float *y, float *scale, int threads) {
  const RotaryNormJob job{
      .tokens = tokens,
      .heads = heads,
      .width = width,
      .period = period,
      .x = x,
      .weight = weight,
      .cosine = cosine,
      .sine = sine,
      .epsilon = epsilon,
      .y = y,
      .scale = scale};
  return isPossible(job) && (tokens == 0 || code().rotaryNorm(job, threads));
}

bool ck_rotary_norm_backward(
    int64_t tokens, int64_t heads, int64_t width, int64_t period, const float *x, const float *weight,
    const float *cosine, const float *sine, const float *scale, const float *y_gradient, float *x_gradient,
    float *weight_gradient, int threads) {
  const RotaryNormJob job{
      .tokens = tokens,
      .heads = heads,
      .width = width,
      .period = period,
      .x = x,
      .weight = weight,
      .cosine = cosine,
      .sine = sine,
      .savedScale = scale,
      .yGradient = y_gradient,
      .xGradient = x_gradient,
      .weightGradient = weight_gradient};
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

bool ck_narrow_product(
    int64_t rows, int64_t inputs, int64_t outputs, const float *x, const float *weight, float *y, int threads) {
  if (rows < 0 || inputs < 1 || outputs < 0) return false;
  const NarrowJob job{.rows = rows, .inputs = inputs, .outputs = outputs, .x = x, .weight = weight, .y = y};
  return rows == 0 || outputs == 0 || code().narrowProduct(job, threads);
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
  return run(
      RowsJob{
          .pieces = rows,
          .perToken = per_token,
          .width = width,
          .places = sendings,
          .scales = scales,
          .x = x,
          .out = out},
      threads);
}

bool ck_gather_rows(
    int64_t tokens, int64_t per_token, int64_t width, const int64_t *places, const float *scales, const float *rows,
    float *sums, int threads) {
  return run(
      RowsJob{
          .pieces = tokens,
          .perToken = per_token,
          .width = width,
          .places = places,
          .scales = scales,
          .rows = rows,
          .out = sums},
      threads);
}

bool ck_row_products(
    int64_t tokens, int64_t per_token, int64_t width, const int64_t *places, const float *x, const float *rows,
    float *products, int threads) {
  return run(
      RowsJob{
          .pieces = tokens,
          .perToken = per_token,
          .width = width,
          .places = places,
          .x = x,
          .rows = rows,
          .out = products},
      threads);
}

bool ck_attention(
    int64_t batch, int64_t length, int64_t heads, int64_t key_heads, int64_t width, float scale, const float *query,
    const float *key, const float *value, float *output, float *logarithms, int threads) {
  return run(
      AttentionJob{
          .batch = batch,
          .length = length,
          .heads = heads,
          .keyHeads = key_heads,
          .width = width,
          .scale = scale,
          .query = query,
          .key = key,
          .value = value,
          .output = output,
          .logarithms = logarithms},
      threads);
}

bool ck_attention_backward(
    int64_t batch, int64_t length, int64_t heads, int64_t key_heads, int64_t width, float scale, const float *query,
    const float *key, const float *value, const float *output, const float *logarithms, const float *output_gradient,
    float *query_gradient, float *key_gradient, float *value_gradient, int threads) {
  return run(
      AttentionJob{
          .batch = batch,
          .length = length,
          .heads = heads,
          .keyHeads = key_heads,
          .width = width,
          .scale = scale,
          .query = query,
          .key = key,
          .value = value,
          .savedOutput = output,
          .savedLogarithms = logarithms,
          .outputGradient = output_gradient,
          .queryGradient = query_gradient,
          .keyGradient = key_gradient,
          .valueGradient = value_gradient},
      threads);
}

const char *ck_vector_code(void) { return code().name; }

bool ck_use_vector_code(const char *name) {
  for (const VectorCode *code : allCodes)
    if (std::strcmp(code->name, name) == 0 && isSupported(*code)) {
      current().store(code, std::memory_order_relaxed);
      return true;
    }
  return false;
}
