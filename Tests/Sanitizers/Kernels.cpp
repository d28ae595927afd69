// Every kernel of the processor over odd shapes, in memory of exactly the size that it is told, for scripts/sanitize.
//
// CKernelsTests check the results. Here the sanitizers check the accesses, and the harness checks that every result is written
// and finite, and that a second run gives the same.
#include <memory>

#include "ckernels.h"
#include "Harness.hpp"

namespace {

struct Connection {
  Floats staticReadCarry, staticWrite, dynamicReadCarry, dynamicWrite, readCarryScale, writeScale, gain;
  ck_connection value;

  Connection(int64_t m, int64_t n, int64_t C, bool isDynamic)
      : staticReadCarry(n * (m + n)), staticWrite(n * m), dynamicReadCarry((m + n) * C), dynamicWrite(m * C),
        readCarryScale(n * (m + n)), writeScale(n * m), gain(C) {
    value = {m, n, C, 1e-5f, staticReadCarry, staticWrite, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
    if (isDynamic)
      value = {
          m,          n,    C,      1e-5f, staticReadCarry, staticWrite, dynamicReadCarry, dynamicWrite, readCarryScale,
          writeScale, gain, nullptr};
  }
};

void connections(int64_t m, int64_t n, int64_t C, int64_t N, bool isDynamic, int threads) {
  const std::string name = std::to_string(m) + " " + std::to_string(n) + " " + std::to_string(C) + " " +
                           std::to_string(N) + (isDynamic ? " dynamic " : " static ") + std::to_string(threads);
  const Connection own(m, n, C, isDynamic), other(m, n, C, isDynamic);
  const Floats state(N * n * C), output(N * m * C), inputGradient(N * m * C), nextGradient(N * n * C);
  Floats next(N * n * C, true), input(N * m * C, true), savedWrite(N * m * n, true), otherSavedWrite(N * m * n);
  Floats stateGradient(N * n * C, true), outputGradient(N * m * C, true);
  Connection sums(m, n, C, isDynamic);
  const ck_connection_gradients targets{
      sums.staticReadCarry, sums.staticWrite, sums.dynamicReadCarry, sums.dynamicWrite, sums.readCarryScale,
      sums.writeScale,      sums.gain};
  Outputs gradients{&sums.staticReadCarry, &sums.staticWrite};
  if (isDynamic)
    gradients = {
        &sums.staticReadCarry, &sums.staticWrite, &sums.dynamicReadCarry, &sums.dynamicWrite, &sums.readCarryScale,
        &sums.writeScale,      &sums.gain};
  auto forward = [&](const ck_connection *writer, const ck_connection *reader, float *saved) {
    const ck_connection_forward_args args{
        .writer = writer,
        .reader = reader,
        .tokens = N,
        .state = state,
        .output = output,
        .next_state = next,
        .saved_write = saved,
        .input = input};
    return ck_connection_forward(&args, threads);
  };
  auto backward = [&](const ck_connection *connection, const ck_connection *writer, const float *nextStateGradient,
                      const ck_connection_gradients *gradients) {
    const ck_connection_backward_args args{
        .connection = connection,
        .writer = writer,
        .tokens = N,
        .state = state,
        .output = output,
        .input_gradient = inputGradient,
        .next_state_gradient = nextStateGradient,
        .state_gradient = stateGradient,
        .gradients = gradients,
        .saved_write = otherSavedWrite,
        .writer_output_gradient = outputGradient};
    return ck_connection_backward(&args, threads);
  };
  check("read " + name, {&input}, {}, [&] { return forward(nullptr, &own.value, nullptr); });
  check("write " + name, {&next}, {}, [&] { return forward(&own.value, nullptr, nullptr); });
  check("write and read " + name, {&next, &savedWrite, &input}, {}, [&] {
    return forward(&own.value, &other.value, savedWrite);
  });
  check("write's derivative " + name, {&outputGradient}, {}, [&] {
    return backward(nullptr, &other.value, nextGradient, nullptr);
  });
  check("derivative " + name, {&stateGradient}, gradients, [&] {
    return backward(&own.value, nullptr, nextGradient, &targets);
  });
  check("two derivatives " + name, {&stateGradient, &outputGradient}, gradients, [&] {
    return backward(&own.value, &other.value, nextGradient, &targets);
  });
  const Floats projections(std::max<int64_t>(ck_connection_projection_count(&own.value, N), 1));
  ck_connection saving = own.value;
  saving.projections = projections;
  check("read that saves projections " + name, {&input}, {}, [&] { return forward(nullptr, &saving, nullptr); });
  check("write that saves projections " + name, {&next}, {}, [&] { return forward(&saving, nullptr, nullptr); });
  check("derivative by saved projections " + name, {&stateGradient}, gradients, [&] {
    return backward(&saving, nullptr, nextGradient, &targets);
  });
  check("derivative in place of the next state's " + name, {&stateGradient}, gradients, [&] {
    std::copy_n(nextGradient.operator float *(), N * n * C, stateGradient.operator float *());
    return backward(&own.value, nullptr, stateGradient, &targets);
  });
  const ck_connection_gradients none{};
  check("derivative of the state alone " + name, {&stateGradient}, {}, [&] {
    return backward(&own.value, nullptr, nextGradient, &none);
  });
}

void norms(int64_t R, int64_t G, int64_t d, int threads) {
  const std::string name = std::to_string(R) + " " + std::to_string(G) + " " + std::to_string(d);
  const int64_t width = G * d;
  const Floats x(R * width), weight(width), bias(width), gradient(R * width);
  Floats y(R * width, true), scale(R, true), statistics(R * G * 2, true), xGradient(R * width, true);
  Floats weightSum(width), biasSum(width);
  for (float *saved : {static_cast<float *>(scale), static_cast<float *>(nullptr)})
    check(
        "RMS norm " + name, saved ? Outputs{&y, &scale} : Outputs{&y}, {}, ck_rms_norm,
        ck_rms_norm_args{.rows = R, .width = width, .x = x, .weight = weight, .epsilon = 1e-5f, .y = y, .scale = saved},
        threads);
  for (float *sum : {static_cast<float *>(weightSum), static_cast<float *>(nullptr)})
    check(
        "RMS norm's derivative " + name, {&xGradient}, sum ? Outputs{&weightSum} : Outputs{}, ck_rms_norm_backward,
        ck_rms_norm_backward_args{
            .rows = R,
            .width = width,
            .x = x,
            .weight = weight,
            .scale = scale,
            .y_gradient = gradient,
            .x_gradient = xGradient,
            .weight_gradient = sum},
        threads);
  check(
      "group norm " + name, {&y, &statistics}, {}, ck_group_norm,
      ck_group_norm_args{
          .rows = R,
          .groups = G,
          .width = d,
          .x = x,
          .weight = weight,
          .bias = bias,
          .epsilon = 1e-5f,
          .y = y,
          .statistics = statistics},
      threads);
  check(
      "group norm's derivative " + name, {&xGradient}, {&weightSum, &biasSum}, ck_group_norm_backward,
      ck_group_norm_backward_args{
          .rows = R,
          .groups = G,
          .width = d,
          .x = x,
          .weight = weight,
          .statistics = statistics,
          .y_gradient = gradient,
          .x_gradient = xGradient,
          .weight_gradient = weightSum,
          .bias_gradient = biasSum},
      threads);
}

void rotations(int64_t N, int64_t H, int64_t d, int64_t period, int threads) {
  const std::string name = std::to_string(N) + " " + std::to_string(H) + " " + std::to_string(d);
  const Floats x(N * H * d), weight(d), cosine(period * d), sine(period * d), gradient(N * H * d);
  Floats y(N * H * d, true), scale(N * H, true), xGradient(N * H * d, true), weightSum(d);
  check(
      "QK norm and RoPE " + name, {&y, &scale}, {}, ck_qk_norm_rope,
      ck_qk_norm_rope_args{
          .tokens = N,
          .heads = H,
          .head_size = d,
          .period = period,
          .x = x,
          .weight = weight,
          .cosine = cosine,
          .sine = sine,
          .epsilon = 1e-5f,
          .y = y,
          .scale = scale},
      threads);
  check(
      "QK norm and RoPE's derivative " + name, {&xGradient}, {&weightSum}, ck_qk_norm_rope_backward,
      ck_qk_norm_rope_backward_args{
          .tokens = N,
          .heads = H,
          .head_size = d,
          .period = period,
          .x = x,
          .weight = weight,
          .cosine = cosine,
          .sine = sine,
          .scale = scale,
          .y_gradient = gradient,
          .x_gradient = xGradient,
          .weight_gradient = weightSum},
      threads);
}

void swiglus(int64_t count, int threads) {
  const std::string name = "SwiGLU " + std::to_string(count);
  const Floats gate(count), up(count), gradient(count);
  Floats product(count, true), gateGradient(count, true), upGradient(count, true);
  check(
      name, {&product}, {}, ck_swiglu, ck_swiglu_args{.count = count, .gate = gate, .up = up, .product = product},
      threads);
  check(
      name + "'s derivative", {&product, &gateGradient, &upGradient}, {}, ck_swiglu_backward,
      ck_swiglu_backward_args{
          .count = count,
          .gate = gate,
          .up = up,
          .product_gradient = gradient,
          .product = product,
          .gate_gradient = gateGradient,
          .up_gradient = upGradient},
      threads);
}

void crossEntropies(int64_t R, int64_t V, int threads) {
  const std::string name = "cross-entropy " + std::to_string(R) + " " + std::to_string(V);
  const Floats given(R * V);
  Floats logits(R * V, true), losses(R, true);
  const std::unique_ptr<int64_t[]> targets(new int64_t[size_t(R)]);
  for (int64_t row = 0; row < R; row++) targets[size_t(row)] = row % 3 == 2 ? -100 : (row * 7919) % V;
  for (bool leavesGradient : {false, true})
    check(name, {&losses, &logits}, {}, [&] {
      std::copy_n(static_cast<float *>(given), R * V, static_cast<float *>(logits));
      const ck_cross_entropy_args args{
          .rows = R,
          .width = V,
          .logits = logits,
          .targets = targets.get(),
          .losses = losses,
          .leaves_gradient = leavesGradient,
          .scale = 0.5f};
      return ck_cross_entropy(&args, threads);
    });
}

/// N tokens, each routed to k rows of the buffer in reverse order, between rows of zeros.
void expertBatches(int64_t N, int64_t k, int64_t d, int threads) {
  const std::string name = "experts " + std::to_string(N) + " " + std::to_string(k) + " " + std::to_string(d);
  const int64_t R = 2 * N * k + 1;
  std::vector<int64_t> routedTokens(size_t(R), -1), rowIndices(size_t(N * k));
  for (int64_t i = 0; i < N * k; i++) routedTokens[size_t(rowIndices[size_t(i)] = 2 * (N * k - i))] = i;
  const Floats x(N * d), scales(N * k);
  Floats rows(R * d, true), sums(N * d, true), products(N * k, true);
  for (const float *scale : {static_cast<const float *>(scales), static_cast<const float *>(nullptr)}) {
    const ck_expert_dispatch_args dispatch{R, k, d, routedTokens.data(), scale, x, rows};
    check(name, {&rows}, {}, ck_expert_dispatch, dispatch, threads);
    const ck_expert_combine_args combine{N, k, d, rowIndices.data(), scale, rows, sums};
    check(name + " combined", {&sums}, {}, ck_expert_combine, combine, threads);
  }
  const ck_expert_row_products_args multiply{N, k, d, rowIndices.data(), x, rows, products};
  check(name + " multiplied", {&products}, {}, ck_expert_row_products, multiply, threads);
}

void attentions(int64_t B, int64_t T, int64_t H, int64_t K, int64_t d, int threads) {
  // As in training, and over three positions more than queries, head by head, as in a KV cache.
  const int64_t S = T + 3;
  const ck_key_layout trained{T, K * d, d, T * K * d}, cached{S, d, S * d, K * S * d};
  const std::string name = "attention " + std::to_string(T) + " " + std::to_string(d);
  const Floats query(B * T * H * d), key(B * T * K * d), value(B * T * K * d), upstream(B * T * H * d);
  Floats output(B * T * H * d, true), logSumExp(B * H * T, true), queryGradient(B * T * H * d, true);
  Floats keyGradient(B * T * K * d, true), valueGradient(B * T * K * d, true);
  ck_causal_attention_args args{
      .batch = B,
      .length = T,
      .heads = H,
      .key_value_heads = K,
      .head_size = d,
      .scale = 0.5f,
      .query = query,
      .key = key,
      .value = value,
      .layout = trained,
      .output = output,
      .log_sum_exp = logSumExp};
  check(name, {&output, &logSumExp}, {}, ck_causal_attention, args, threads);
  check(
      name + "'s derivative", {&queryGradient, &keyGradient, &valueGradient}, {}, ck_causal_attention_backward,
      ck_causal_attention_backward_args{
          .forward = args,
          .output_gradient = upstream,
          .query_gradient = queryGradient,
          .key_gradient = keyGradient,
          .value_gradient = valueGradient},
      threads);
  const Floats keys(B * K * S * d), values(B * K * S * d);
  args.key = keys;
  args.value = values;
  args.layout = cached;
  check(name + " over more", {&output, &logSumExp}, {}, ck_causal_attention, args, threads);
}

void optimizers(const std::vector<int64_t> &sizes, int threads) {
  std::vector<std::unique_ptr<Floats>> given, results;
  std::vector<ck_parameter> parameters;
  Outputs outputs;
  auto make = [](auto &owner, int64_t count, bool isOutput) {
    owner.push_back(std::make_unique<Floats>(count, isOutput));
    return owner.back().get();
  };
  for (size_t i = 0; i < sizes.size(); i++) {
    ck_parameter parameter{sizes[i]};
    for (float **place : {&parameter.weight, &parameter.first_moment, &parameter.second_moment}) {
      outputs.push_back(make(results, sizes[i], true));
      *place = *outputs.back();
    }
    if (i % 3 != 2) parameter.gradient = *make(given, sizes[i], false);
    parameter.learning_rate = 0.1;
    parameter.weight_decay = 0.2;
    parameters.push_back(parameter);
  }
  double norm = 0;
  check("AdamW", outputs, {}, [&] {
    for (Floats *output : outputs) output->zero();
    const int64_t count = int64_t(parameters.size());
    const ck_adamw_args step{
        .parameters = parameters.data(),
        .count = count,
        .beta1 = 0.9,
        .beta2 = 0.99,
        .epsilon = 1e-8,
        .gradient_scale = 0.5,
        .step = 1};
    const ck_gradient_norm_args gradients{.parameters = parameters.data(), .count = count, .norm = &norm};
    return ck_adamw(&step, threads) && ck_gradient_norm(&gradients, threads);
  });
  require(std::isfinite(norm) && norm > 0, "the gradients' norm");
}

}  // namespace

int main() {
  int codes = 0;
  for (const char *code : {"avx512vnni", "avx512", "avx2", "portable"}) {
    if (!ck_use_vector_code(code)) continue;
    codes++;
    for (int threads : {1, 3}) {
      const int64_t widths[][4] = {{1, 1, 1, 1},    {1, 1, 16, 9},  {1, 2, 3, 5},    {2, 3, 17, 7},   {2, 3, 128, 70},
                                   {2, 5, 33, 11},  {3, 3, 5, 2},   {3, 8, 31, 1},   {4, 8, 64, 37},  {4, 16, 15, 33},
                                   {4, 16, 64, 65}, {4, 17, 65, 3}, {4, 32, 64, 21}, {5, 33, 7, 6},   {8, 64, 32, 19},
                                   {8, 64, 31, 2},  {7, 65, 13, 5}, {1, 100, 2, 3},  {16, 128, 9, 3}, {2, 4, 513, 9},
                                   {1, 3, 1000, 4}, {6, 12, 24, 50}};
      for (const auto &[m, n, C, N] : widths)
        for (bool isDynamic : {true, false}) connections(m, n, C, N, isDynamic, threads);
      const int64_t rows[][3] = {{1, 1, 1},    {3, 1, 17},  {70, 2, 16}, {130, 3, 33},
                                 {2, 1, 1000}, {5, 16, 64}, {513, 8, 7}};
      for (const auto &[R, G, d] : rows) norms(R, G, d, threads);
      const int64_t heads[][4] = {{1, 1, 2, 1},  {10, 3, 6, 5},  {140, 2, 64, 70},
                                  {3, 4, 34, 3}, {6, 1, 128, 2}, {8, 5, 30, 7}};
      for (const auto &[N, H, d, period] : heads) rotations(N, H, d, period, threads);
      for (int64_t count : {1, 7, 16, 33, 1000, 200003}) swiglus(count, threads);
      for (const auto &sizes : std::vector<std::vector<int64_t>>{{1}, {16, 5, 7, 33}, {200003, 0, 64, 1000}})
        optimizers(sizes, threads);
      const int64_t routings[][3] = {{1, 1, 1}, {7, 3, 33}, {129, 2, 64}, {40, 5, 1001}};
      for (const auto &[N, k, d] : routings) expertBatches(N, k, d, threads);
      const int64_t sequences[][5] = {{1, 1, 1, 1, 1}, {2, 5, 3, 1, 7}, {1, 70, 4, 2, 33}, {3, 65, 2, 2, 16}};
      for (const auto &[B, T, H, K, d] : sequences) attentions(B, T, H, K, d, threads);
      const int64_t logits[][2] = {{1, 1}, {7, 33}, {6, 1001}, {65, 16}, {129, 515}};
      for (const auto &[R, V] : logits) crossEntropies(R, V, threads);
      decoding(threads);
    }
    std::printf("sanitize: %s is done\n", code);
  }
  require(codes > 0, "no vector code runs on this processor");
  return failures == 0 ? 0 : 1;
}
