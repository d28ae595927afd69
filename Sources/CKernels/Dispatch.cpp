// The entry points of connections and norms: arguments checked, then handed to the vector code in use.
#include <atomic>
#include <cstring>

#include "Kernels.hpp"
#include "Threads.hpp"
#include "Workers.hpp"

namespace ckernels {
namespace {

bool isSupported(const VectorCode &code) {
#if defined(__x86_64__)
  if (&code == &avx512VNNICode) return isSupported(avx512Code) && __builtin_cpu_supports("avx512vnni");
  if (&code == &avx512Code)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
  if (&code == &avx2Code) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &code == &portableCode;
}

const VectorCode *const allCodes[] = {
#if defined(__x86_64__)
    &avx512VNNICode,
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

}  // namespace

const VectorCode &code() { return *current().load(std::memory_order_relaxed); }

namespace {

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

bool isPossible(const GroupNormJob &job) {
  return job.rows >= 0 && job.groups >= 1 && job.groups <= largest && job.width >= 1 && job.width <= largest;
}

}  // namespace
}  // namespace ckernels

using namespace ckernels;

int64_t ck_connection_projections(const ck_connection *connection, int64_t tokens) {
  return tokens > 0 && isPossible(*connection) ? code().projections(*connection, tokens) : 0;
}

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

const char *ck_vector_code(void) { return code().name; }

void ck_stand_by(int threads, void (*body)(void *), void *context) { ckernels::standBy(threads, body, context); }

int ck_threads_standing_by(void) { return ckernels::threadsStandingBy(); }

const char *ck_supported_vector_code(int index) {
  for (const VectorCode *code : allCodes)
    if (isSupported(*code) && index-- == 0) return code->name;
  return nullptr;
}

int ck_processor_count(void) { return usefulThreads(); }

bool ck_use_vector_code(const char *name) {
  for (const VectorCode *code : allCodes)
    if (std::strcmp(code->name, name) == 0 && isSupported(*code)) {
      current().store(code, std::memory_order_relaxed);
      return true;
    }
  return false;
}
