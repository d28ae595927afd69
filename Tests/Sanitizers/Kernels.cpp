// Every kernel of the processor over odd shapes, in memory of exactly the size that it is told, for scripts/sanitize.
//
// What is computed is checked by CKernelsTests; here the sanitizers do the checking, and beside them that every result
// is written, finite and the same when it is computed again.
#include <memory>

#include "Harness.hpp"
#include "ckernels.h"

namespace {

struct Connection {
  Floats staticAlpha, staticBeta, dynamicAlpha, dynamicBeta, alphaScale, betaScale, gain;
  ck_connection value;

  Connection(int64_t m, int64_t n, int64_t C, bool isDynamic)
      : staticAlpha(n * (m + n)), staticBeta(n * m), dynamicAlpha((m + n) * C), dynamicBeta(m * C),
        alphaScale(n * (m + n)), betaScale(n * m), gain(C) {
    value = {m, n, C, 1e-5f, staticAlpha, staticBeta, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
    if (isDynamic)
      value = {m, n, C, 1e-5f, staticAlpha, staticBeta, dynamicAlpha, dynamicBeta, alphaScale, betaScale, gain, nullptr};
  }
};

void connections(int64_t m, int64_t n, int64_t C, int64_t N, bool isDynamic, int threads) {
  const std::string name = std::to_string(m) + " " + std::to_string(n) + " " + std::to_string(C) + " " +
                           std::to_string(N) + (isDynamic ? " dynamic " : " static ") + std::to_string(threads);
  const Connection own(m, n, C, isDynamic), other(m, n, C, isDynamic);
  const Floats state(N * n * C), output(N * m * C), inputGradient(N * m * C), nextGradient(N * n * C);
  Floats next(N * n * C, true), input(N * m * C, true), beta(N * m * n, true), otherBeta(N * m * n);
  Floats stateGradient(N * n * C, true), outputGradient(N * m * C, true);
  Connection sums(m, n, C, isDynamic);
  const ck_connection_gradients targets{
      sums.staticAlpha, sums.staticBeta, sums.dynamicAlpha, sums.dynamicBeta,
      sums.alphaScale,  sums.betaScale,  sums.gain};
  Outputs gradients{&sums.staticAlpha, &sums.staticBeta};
  if (isDynamic)
    gradients = {&sums.staticAlpha, &sums.staticBeta, &sums.dynamicAlpha, &sums.dynamicBeta,
                 &sums.alphaScale,  &sums.betaScale,  &sums.gain};
  check("read " + name, {&input}, {}, [&] { return ck_connection_read(&own.value, N, state, input, threads); });
  check("write " + name, {&next}, {}, [&] {
    return ck_connection_write(&own.value, N, state, output, next, nullptr, threads);
  });
  check("write and read " + name, {&next, &beta, &input}, {}, [&] {
    return ck_connection_write_read(&own.value, &other.value, N, state, output, next, beta, input, threads);
  });
  check("write's derivative " + name, {&outputGradient}, {}, [&] {
    return ck_connection_write_backward(&own.value, N, nullptr, beta, nextGradient, outputGradient, threads);
  });
  check("write's derivative from the state " + name, {&outputGradient}, {}, [&] {
    return ck_connection_write_backward(&own.value, N, state, nullptr, nextGradient, outputGradient, threads);
  });
  check("derivative " + name, {&stateGradient}, gradients, [&] {
    return ck_connection_backward(
        &own.value, N, state, output, inputGradient, nextGradient, stateGradient, &targets, threads);
  });
  for (const float *saved : {static_cast<const float *>(otherBeta), static_cast<const float *>(nullptr)})
    check("two derivatives " + name, {&stateGradient, &outputGradient}, gradients, [&] {
      return ck_connection_backward_write_backward(
          &own.value, &other.value, N, state, output, inputGradient, nextGradient, saved ? nullptr : state.operator float *(),
          saved, stateGradient, outputGradient, &targets, threads);
    });
  const Floats projections(std::max<int64_t>(ck_connection_projections(&own.value, N), 1));
  ck_connection keeping = own.value;
  keeping.projections = projections;
  check("read that keeps projections " + name, {&input}, {}, [&] {
    return ck_connection_read(&keeping, N, state, input, threads);
  });
  check("write that keeps projections " + name, {&next}, {}, [&] {
    return ck_connection_write(&keeping, N, state, output, next, nullptr, threads);
  });
  check("derivative by kept projections " + name, {&stateGradient}, gradients, [&] {
    return ck_connection_backward(
        &keeping, N, state, output, inputGradient, nextGradient, stateGradient, &targets, threads);
  });
  check("derivative in the next state's place " + name, {&stateGradient}, gradients, [&] {
    std::copy_n(nextGradient.operator float *(), N * n * C, stateGradient.operator float *());
    return ck_connection_backward(
        &own.value, N, state, output, inputGradient, stateGradient, stateGradient, &targets, threads);
  });
  const ck_connection_gradients none{};
  check("derivative of the state alone " + name, {&stateGradient}, {}, [&] {
    return ck_connection_backward(
        &own.value, N, state, output, inputGradient, nextGradient, stateGradient, &none, threads);
  });
}

void norms(int64_t R, int64_t G, int64_t d, int threads) {
  const std::string name = std::to_string(R) + " " + std::to_string(G) + " " + std::to_string(d);
  const int64_t width = G * d;
  const Floats x(R * width), weight(width), bias(width), gradient(R * width);
  Floats y(R * width, true), scale(R, true), statistics(R * G * 2, true), xGradient(R * width, true);
  Floats weightSum(width), biasSum(width);
  check("RMS norm " + name, {&y, &scale}, {}, [&] { return ck_rms_norm(R, width, x, weight, 1e-5f, y, scale, threads); });
  check("RMS norm alone " + name, {&y}, {}, [&] { return ck_rms_norm(R, width, x, weight, 1e-5f, y, nullptr, threads); });
  check("RMS norm's derivative " + name, {&xGradient}, {&weightSum}, [&] {
    return ck_rms_norm_backward(R, width, x, weight, scale, gradient, xGradient, weightSum, threads);
  });
  check("RMS norm's derivative alone " + name, {&xGradient}, {}, [&] {
    return ck_rms_norm_backward(R, width, x, weight, scale, gradient, xGradient, nullptr, threads);
  });
  check("group norm " + name, {&y, &statistics}, {}, [&] {
    return ck_group_norm(R, G, d, x, weight, bias, 1e-5f, y, statistics, threads);
  });
  check("group norm's derivative " + name, {&xGradient}, {&weightSum, &biasSum}, [&] {
    return ck_group_norm_backward(R, G, d, x, weight, statistics, gradient, xGradient, weightSum, biasSum, threads);
  });
}

void rotaryNorms(int64_t N, int64_t H, int64_t d, int64_t period, int threads) {
  const std::string name = std::to_string(N) + " " + std::to_string(H) + " " + std::to_string(d);
  const Floats x(N * H * d), weight(d), cosine(period * d), sine(period * d), gradient(N * H * d);
  Floats y(N * H * d, true), scale(N * H, true), xGradient(N * H * d, true), weightSum(d);
  check("rotary norm " + name, {&y, &scale}, {}, [&] {
    return ck_rotary_norm(N, H, d, period, x, weight, cosine, sine, 1e-5f, y, scale, threads);
  });
  check("rotary norm's derivative " + name, {&xGradient}, {&weightSum}, [&] {
    return ck_rotary_norm_backward(
        N, H, d, period, x, weight, cosine, sine, scale, gradient, xGradient, weightSum, threads);
  });
}

void swiglus(int64_t count, int threads) {
  const std::string name = "SwiGLU " + std::to_string(count);
  const Floats gate(count), up(count), gradient(count);
  Floats product(count, true), gateGradient(count, true), upGradient(count, true);
  check(name, {&product}, {}, [&] { return ck_swiglu(count, gate, up, product, threads); });
  check(name + "'s derivative", {&product, &gateGradient, &upGradient}, {}, [&] {
    return ck_swiglu_backward(count, gate, up, gradient, product, gateGradient, upGradient, threads);
  });
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
      return ck_cross_entropy(R, V, logits, targets.get(), losses, leavesGradient, 0.5f, threads);
    });
}

/// Each of N tokens sent to k rows in an order of their own, between rows that hold nothing.
void rowMoves(int64_t N, int64_t k, int64_t d, int threads) {
  const std::string name = "rows " + std::to_string(N) + " " + std::to_string(k) + " " + std::to_string(d);
  const int64_t R = 2 * N * k + 1;
  std::vector<int64_t> sendings(size_t(R), -1), places(size_t(N * k));
  for (int64_t i = 0; i < N * k; i++) sendings[size_t(places[size_t(i)] = 2 * (N * k - i))] = i;
  const Floats x(N * d), scales(N * k);
  Floats rows(R * d, true), sums(N * d, true), products(N * k, true);
  for (const float *scale : {static_cast<const float *>(scales), static_cast<const float *>(nullptr)})
    check(name, {&rows, &sums, &products}, {}, [&] {
      return ck_spread_rows(R, k, d, sendings.data(), scale, x, rows, threads) &&
             ck_gather_rows(N, k, d, places.data(), scale, rows, sums, threads) &&
             ck_row_products(N, k, d, places.data(), x, rows, products, threads);
    });
}

void attentions(int64_t B, int64_t T, int64_t H, int64_t K, int64_t d, int threads) {
  // As they are trained, and three positions more than queries, head by head, as they are kept.
  const int64_t S = T + 3;
  const ck_key_layout whole{T, K * d, d, T * K * d}, longer{S, d, S * d, K * S * d};
  const std::string name = "attention " + std::to_string(T) + " " + std::to_string(d);
  const Floats query(B * T * H * d), key(B * T * K * d), value(B * T * K * d), upstream(B * T * H * d);
  Floats output(B * T * H * d, true), logarithms(B * H * T, true), queryGradient(B * T * H * d, true);
  Floats keyGradient(B * T * K * d, true), valueGradient(B * T * K * d, true);
  check(name, {&output, &logarithms}, {}, [&] {
    return ck_attention(B, T, H, K, d, 0.5f, query, key, value, whole, output, logarithms, threads);
  });
  check(name + "'s derivative", {&queryGradient, &keyGradient, &valueGradient}, {}, [&] {
    return ck_attention_backward(
        B, T, H, K, d, 0.5f, query, key, value, output, logarithms, upstream, queryGradient, keyGradient,
        valueGradient, threads);
  });
  const Floats keys(B * K * S * d), values(B * K * S * d);
  check(name + " over more", {&output, &logarithms}, {}, [&] {
    return ck_attention(B, T, H, K, d, 0.5f, query, keys, values, longer, output, logarithms, threads);
  });
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
    const ck_adamw_settings settings{0.9, 0.99, 1e-8, 0.5, 1};
    return ck_adamw(parameters.data(), int64_t(parameters.size()), &settings, threads) &&
           ck_gradient_norm(parameters.data(), int64_t(parameters.size()), &norm, threads);
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
      const int64_t widths[][4] = {
          {1, 1, 1, 1},    {1, 1, 16, 9},  {1, 2, 3, 5},    {2, 3, 17, 7},   {2, 3, 128, 70}, {2, 5, 33, 11},
          {3, 3, 5, 2},    {3, 8, 31, 1},  {4, 8, 64, 37},  {4, 16, 15, 33}, {4, 16, 64, 65}, {4, 17, 65, 3},
          {4, 32, 64, 21}, {5, 33, 7, 6},  {8, 64, 32, 19}, {8, 64, 31, 2},  {7, 65, 13, 5},  {1, 100, 2, 3},
          {16, 128, 9, 3}, {2, 4, 513, 9}, {1, 3, 1000, 4}, {6, 12, 24, 50}};
      for (const auto &[m, n, C, N] : widths)
        for (bool isDynamic : {true, false}) connections(m, n, C, N, isDynamic, threads);
      const int64_t rows[][3] = {{1, 1, 1}, {3, 1, 17}, {70, 2, 16}, {130, 3, 33}, {2, 1, 1000}, {5, 16, 64}, {513, 8, 7}};
      for (const auto &[R, G, d] : rows) norms(R, G, d, threads);
      const int64_t heads[][4] = {{1, 1, 2, 1}, {10, 3, 6, 5}, {140, 2, 64, 70}, {3, 4, 34, 3}, {6, 1, 128, 2}, {8, 5, 30, 7}};
      for (const auto &[N, H, d, period] : heads) rotaryNorms(N, H, d, period, threads);
      for (int64_t count : {1, 7, 16, 33, 1000, 200003}) swiglus(count, threads);
      for (const auto &sizes : std::vector<std::vector<int64_t>>{{1}, {16, 5, 7, 33}, {200003, 0, 64, 1000}})
        optimizers(sizes, threads);
      const int64_t sent[][3] = {{1, 1, 1}, {7, 3, 33}, {129, 2, 64}, {40, 5, 1001}};
      for (const auto &[N, k, d] : sent) rowMoves(N, k, d, threads);
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
