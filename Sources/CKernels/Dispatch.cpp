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

bool isPossible(const ck_matrix &matrix) {
  const bool isScaled = matrix.form == CK_INT8 || matrix.form == CK_INT4;
  return matrix.inputs >= 1 && matrix.outputs >= 0 && isScaled == (matrix.scales != nullptr);
}

bool isPossible(const ck_memory &text) {
  const bool isScaled = text.form == CK_INT8;
  return text.form != CK_INT4 && text.rows >= 1 && text.start >= 0 && text.capacity - text.start >= text.rows &&
         isScaled == (text.key_scales != nullptr) && isScaled == (text.value_scales != nullptr);
}

bool isPossible(const ck_attention &layer) {
  const int64_t queries = layer.heads * layer.head_size, keys = layer.key_value_heads * layer.head_size;
  return layer.key_value_heads >= 1 && layer.heads >= 1 && layer.heads % layer.key_value_heads == 0 &&
         layer.head_size >= 2 && layer.head_size % 2 == 0 && isPossible(layer.query) && isPossible(layer.key) &&
         isPossible(layer.value) && isPossible(layer.output) && layer.query.outputs == queries &&
         layer.key.outputs == keys && layer.value.outputs == keys && layer.output.inputs == queries &&
         layer.key.inputs == layer.query.inputs && layer.value.inputs == layer.query.inputs &&
         layer.key.form == layer.query.form && layer.value.form == layer.query.form;
}

bool isPossible(const ck_feed_forward &layer) {
  const int64_t count = layer.router ? layer.experts : 1;
  if (layer.router && (!isPossible(*layer.router) || layer.router->outputs != count || layer.chosen < 1 ||
                       layer.chosen > count || layer.router->inputs != layer.gate[0].inputs))
    return false;
  for (int64_t each = 0; each < count; each++) {
    const ck_matrix &gate = layer.gate[each], &up = layer.up[each], &down = layer.down[each];
    if (!isPossible(gate) || !isPossible(up) || !isPossible(down) || gate.form != layer.gate[0].form ||
        up.form != gate.form || down.form != layer.down[0].form || gate.inputs != layer.gate[0].inputs ||
        gate.outputs != layer.gate[0].outputs || up.inputs != gate.inputs || up.outputs != gate.outputs ||
        down.inputs != gate.outputs || down.outputs != layer.down[0].outputs)
      return false;
  }
  return true;
}

bool isPossible(const GroupNormJob &job) {
  return job.rows >= 0 && job.groups >= 1 && job.groups <= largest && job.width >= 1 && job.width <= largest;
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

bool ck_narrow_product(int64_t rows, const float *x, const ck_matrix *weight, float *y, int threads) {
  if (rows < 0 || !isPossible(*weight)) return false;
  return rows == 0 || weight->outputs == 0 || code().narrowProduct({rows, x, weight, y}, threads);
}

bool ck_expand(const ck_matrix *matrix, int64_t first, int64_t count, float *y, int threads) {
  if (!isPossible(*matrix) || first < 0 || count < 0 || first > matrix->outputs - count) return false;
  return count == 0 || code().expand({matrix, first, count, y}, threads);
}

bool ck_attention_step(
    const ck_attention *layer, const ck_memory *texts, int64_t count, const float *x, const float *cosine,
    const float *sine, float *y, int threads) {
  if (!isPossible(*layer) || count < 0) return false;
  for (int64_t text = 0; text < count; text++)
    if (!isPossible(texts[text])) return false;
  return count == 0 || code().attentionStep({layer, texts, count, x, cosine, sine, y}, threads);
}

bool ck_feed_forward_step(const ck_feed_forward *layer, int64_t rows, const float *x, float *y, int threads) {
  if (rows < 0 || !isPossible(*layer)) return false;
  return rows == 0 || code().feedForwardStep({layer, rows, x, y}, threads);
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
