// The kernels of decoding, in every format of weights and of KV caches.
#include <cstring>
#include <memory>
#include <vector>

#include "ckernels_decoding.h"
#include "Harness.hpp"

namespace {

constexpr ck_weight_format formats[] = {CK_FLOAT32, CK_BFLOAT16, CK_INT8, CK_INT4};

std::string named(const char *name, std::initializer_list<int64_t> sizes) {
  std::string all = name;
  for (int64_t size : sizes) all += " " + std::to_string(size);
  return all;
}

int64_t valueBytes(ck_weight_format format, int64_t N, int64_t K) {
  switch (format) {
    case CK_FLOAT32: return 4 * N * K;
    case CK_BFLOAT16: return 2 * N * K;
    case CK_INT8: return N * K;
    default: return N * 64 * ((K + 127) / 128);
  }
}

int64_t scaleCount(ck_weight_format format, int64_t N, int64_t K) {
  return format == CK_INT8 ? N * ((K + 31) / 32) : format == CK_INT4 ? N * 4 * ((K + 127) / 128) : 0;
}

/// The upper halves of floats.
void round(const Floats &floats, int64_t count, uint16_t *halves) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    std::memcpy(&bits, static_cast<float *>(floats) + i, 4);
    halves[i] = uint16_t(bits >> 16);
  }
}

bool quantize(
    ck_weight_format format, int64_t N, int64_t K, const Floats &weight, const Bytes &values, const Bytes &scales,
    int threads) {
  const ck_quantize_args args{
      .format = format, .outputs = N, .inputs = K, .weight = weight, .values = values, .scales = scales.as<uint16_t>()};
  return ck_quantize(&args, threads);
}

/// A weight [N,K] in some format.
class Matrix {
 public:
  Matrix(ck_weight_format format, int64_t N, int64_t K)
      : values(valueBytes(format, N, K)), scales(2 * scaleCount(format, N, K)),
        value{format, N, K, values, format == CK_INT8 || format == CK_INT4 ? scales.as<uint16_t>() : nullptr} {
    const Floats floats(N * K);
    if (format == CK_FLOAT32) {
      std::memcpy(values, floats, size_t(values.count));
    } else if (format == CK_BFLOAT16) {
      round(floats, N * K, values.as<uint16_t>());
    } else {
      require(quantize(format, N, K, floats, values, scales, 1), "quantizing: refused");
    }
  }

 private:
  Bytes values, scales;

 public:
  const ck_matrix value;
};

/// Every byte is written, whatever was there before.
void quantizings(int64_t N, int64_t K, int threads) {
  const Floats weight(N * K);
  for (ck_weight_format format : {CK_INT8, CK_INT4}) {
    const Bytes values(valueBytes(format, N, K)), scales(2 * scaleCount(format, N, K));
    std::vector<uint8_t> found[2];
    for (int round = 0; round < 2; round++) {
      std::memset(values, 255 * round, size_t(values.count));
      std::memset(scales, 255 * round, size_t(scales.count));
      require(quantize(format, N, K, weight, values, scales, threads), "quantizing: refused");
      for (const Bytes *bytes : {&values, &scales})
        found[round].insert(found[round].end(), *bytes + 0, *bytes + bytes->count);
    }
    require(found[0] == found[1], "quantizing: a second run gives something else");
  }
}

void products(ck_weight_format format, int64_t N, int64_t K, int threads) {
  const Matrix weight(format, N, K);
  for (int64_t R : {1, 2, 3, 4, 5, 7, 8, 9, 16, 18}) {
    const Floats x(R * K);
    Floats y(R * N, true);
    check(
        named("skinny GEMM", {format, R, N, K}), {&y}, {}, ck_skinny_gemm,
        ck_gemm_args{.rows = R, .x = x, .weight = &weight.value, .y = y}, threads);
  }
  for (int64_t R : {1, 6, 17, 23}) {
    const Floats x(R * K);
    Floats y(R * N, true);
    check(
        named("GEMM", {format, R, N, K}), {&y}, {}, ck_gemm,
        ck_gemm_args{.rows = R, .x = x, .weight = &weight.value, .y = y}, threads);
  }
  for (int64_t first : {int64_t(0), N / 2, N - 1}) {
    Floats rows((N - first) * K, true);
    check(
        named("dequantized rows", {format, first, N, K}), {&rows}, {}, ck_dequantize,
        ck_dequantize_args{.matrix = &weight.value, .first = first, .count = N - first, .y = rows}, threads);
  }
}

/// The KV cache of one sequence in some format: `start` positions, and memory for `rows` new ones and no more.
class Cache {
 public:
  Cache(ck_weight_format format, int64_t K, int64_t d, int64_t start, int64_t rows)
      : keys(valueBytes(format, 1, K * (start + rows) * d)), values(keys.count), keyScales(K * (start + rows)),
        valueScales(K * (start + rows)) {
    const int64_t count = K * (start + rows) * d;
    for (const Bytes *bytes : {&keys, &values}) {
      const Floats floats(count);
      if (format == CK_FLOAT32) {
        std::memcpy(*bytes, floats, size_t(bytes->count));
      } else if (format == CK_BFLOAT16) {
        round(floats, count, bytes->as<uint16_t>());
      } else {
        for (int64_t i = 0; i < count; i++) bytes->as<int8_t>()[i] = int8_t(floats[i] * 127);
      }
    }
    const bool isScaled = format == CK_INT8;
    value = {
        format,
        start + rows,
        start,
        rows,
        keys,
        values,
        isScaled ? keyScales.operator float *() : nullptr,
        isScaled ? valueScales.operator float *() : nullptr};
  }

  ck_kv_view value;

 private:
  Bytes keys, values;
  Floats keyScales, valueScales;
};

/// Sequences are (start, rows).
void attentionSublayers(
    ck_weight_format format, ck_weight_format cached, int64_t D, int64_t H, int64_t K, int64_t d,
    const std::vector<std::pair<int64_t, int64_t>> &sequences, int threads) {
  const Floats norm(D), queryNorm(d), keyNorm(d);
  const Matrix query(format, H * d, D), key(format, K * d, D), value(format, K * d, D), output(format, D, H * d);
  const ck_attention_layer layer{H,       K,           d,         1e-5f,       norm,        queryNorm,
                                 keyNorm, query.value, key.value, value.value, output.value};
  std::vector<std::unique_ptr<Cache>> caches;
  std::vector<ck_kv_view> views;
  int64_t R = 0;
  for (const auto &[start, rows] : sequences) {
    caches.push_back(std::make_unique<Cache>(cached, K, d, start, rows));
    views.push_back(caches.back()->value);
    R += rows;
  }
  const Floats x(R * D), cosine(R * d), sine(R * d);
  Floats y(R * D, true);
  for (bool addsInput : {false, true})
    check(
        named("attention sublayer", {format, cached, D, H, K, d, R}), {&y}, {}, ck_attention_sublayer,
        ck_attention_sublayer_args{
            .layer = &layer,
            .sequences = views.data(),
            .count = int64_t(views.size()),
            .x = x,
            .cosine = cosine,
            .sine = sine,
            .adds_input = addsInput,
            .y = y},
        threads);
}

/// Without experts if there are none.
void feedForwardSublayers(
    ck_weight_format format, int64_t D, int64_t F, int64_t experts, int64_t chosen, int64_t R, int threads) {
  const Floats norm(D), x(R * D);
  const Matrix router(CK_FLOAT32, std::max<int64_t>(experts, 1), D);
  std::vector<std::unique_ptr<Matrix>> owned;
  std::vector<ck_matrix> gate, up, down;
  auto add = [&](std::vector<ck_matrix> &matrices, int64_t outputs, int64_t inputs) {
    owned.push_back(std::make_unique<Matrix>(format, outputs, inputs));
    matrices.push_back(owned.back()->value);
  };
  for (int64_t each = 0; each < std::max<int64_t>(experts, 1); each++) {
    add(gate, F, D);
    add(up, F, D);
    add(down, D, F);
  }
  Floats y(R * D, true);
  for (bool flag : {false, true}) {
    const ck_feed_forward_layer layer{
        1e-5f, norm, experts > 0 ? &router.value : nullptr, experts, chosen, flag, gate.data(), up.data(), down.data()};
    check(
        named("feed-forward sublayer", {format, D, F, experts, R}), {&y}, {}, ck_feed_forward_sublayer,
        ck_feed_forward_sublayer_args{.layer = &layer, .rows = R, .x = x, .adds_input = flag, .y = y}, threads);
  }
}

void samples(int64_t R, int64_t W, int threads) {
  const Floats x(R * W);
  std::vector<double> uniform(size_t(R), 0.999);
  const std::unique_ptr<bool[]> seen(new bool[size_t(R * W)]());
  std::vector<int64_t> indices(static_cast<size_t>(R));
  const ck_sampling_settings settings[] = {
      {1, 0, 1, 0, 1}, {0.5, 3, 1, 0, 1.2}, {2, 0, 0.9, 0, 1}, {1, W / 2 + 1, 0.99, 0.1, 0.9}, {1, 2 * W, 1e-9, 1, 1}};
  for (const ck_sampling_settings &each : settings)
    for (const bool *known : {static_cast<const bool *>(nullptr), static_cast<const bool *>(seen.get())})
      check(
          named("sample", {R, W}), {}, {}, ck_sample,
          ck_sample_args{
              .rows = R,
              .width = W,
              .x = x,
              .uniform = uniform.data(),
              .seen = known,
              .settings = &each,
              .indices = indices.data()},
          threads);
}

}  // namespace

void decoding(int threads) {
  for (int64_t W : {1, 2, 17, 511, 512, 513, 1030}) samples(3, W, threads);

  const int64_t weights[][2] = {{1, 1}, {3, 31}, {2, 33}, {5, 100}, {7, 128}, {300, 129}, {65, 511}, {130, 1100}};
  for (const auto &[N, K] : weights) {
    quantizings(N, K, threads);
    for (ck_weight_format format : formats) products(format, N, K, threads);
  }
  for (ck_weight_format format : formats) {
    for (ck_weight_format cached : {CK_FLOAT32, CK_BFLOAT16, CK_INT8}) {
      attentionSublayers(format, cached, 1, 1, 1, 2, {{0, 1}}, threads);
      attentionSublayers(format, cached, 33, 3, 1, 10, {{0, 5}, {7, 1}}, threads);
      attentionSublayers(format, cached, 64, 4, 2, 34, {{70, 1}, {3, 4}, {0, 9}}, threads);
      attentionSublayers(format, cached, 130, 2, 2, 64, {{1500, 1}}, threads);
      attentionSublayers(format, cached, 20, 16, 2, 6, {{260, 16}}, threads);
    }
    feedForwardSublayers(format, 1, 1, 0, 1, 1, threads);
    feedForwardSublayers(format, 33, 37, 0, 1, 3, threads);
    feedForwardSublayers(format, 128, 301, 0, 1, 16, threads);
    feedForwardSublayers(format, 24, 12, 5, 2, 1, threads);
    feedForwardSublayers(format, 40, 33, 4, 4, 7, threads);
    feedForwardSublayers(format, 31, 130, 9, 3, 16, threads);
  }
}
