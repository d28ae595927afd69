// The kernels of decoding, in every form of weights and of kept keys and values.
#include <cstring>
#include <memory>
#include <vector>

#include "Harness.hpp"
#include "ckernels_decoding.h"

namespace {

constexpr ck_form forms[] = {CK_FLOAT32, CK_BFLOAT16, CK_INT8, CK_INT4};

std::string named(const char *name, std::initializer_list<int64_t> sizes) {
  std::string all = name;
  for (int64_t size : sizes) all += " " + std::to_string(size);
  return all;
}

int64_t valueBytes(ck_form form, int64_t N, int64_t K) {
  switch (form) {
    case CK_FLOAT32: return 4 * N * K;
    case CK_BFLOAT16: return 2 * N * K;
    case CK_INT8: return N * K;
    default: return N * 64 * ((K + 127) / 128);
  }
}

int64_t scaleCount(ck_form form, int64_t N, int64_t K) {
  return form == CK_INT8 ? N * ((K + 31) / 32) : form == CK_INT4 ? N * 4 * ((K + 127) / 128) : 0;
}

/// The upper halves of floats.
void round(const Floats &floats, int64_t count, uint16_t *halves) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    std::memcpy(&bits, static_cast<float *>(floats) + i, 4);
    halves[i] = uint16_t(bits >> 16);
  }
}

/// A weight [N,K] in some form.
class Matrix {
 public:
  Matrix(ck_form form, int64_t N, int64_t K)
      : values(valueBytes(form, N, K)), scales(2 * scaleCount(form, N, K)),
        value{form, N, K, values, form == CK_INT8 || form == CK_INT4 ? scales.as<uint16_t>() : nullptr} {
    const Floats floats(N * K);
    if (form == CK_FLOAT32) {
      std::memcpy(values, floats, size_t(values.count));
    } else if (form == CK_BFLOAT16) {
      round(floats, N * K, values.as<uint16_t>());
    } else {
      require(ck_quantize(form, N, K, floats, values, scales.as<uint16_t>(), 1), "quantising: refused");
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
  for (ck_form form : {CK_INT8, CK_INT4}) {
    const Bytes values(valueBytes(form, N, K)), scales(2 * scaleCount(form, N, K));
    std::vector<uint8_t> found[2];
    for (int round = 0; round < 2; round++) {
      std::memset(values, 255 * round, size_t(values.count));
      std::memset(scales, 255 * round, size_t(scales.count));
      require(ck_quantize(form, N, K, weight, values, scales.as<uint16_t>(), threads), "quantising: refused");
      for (const Bytes *bytes : {&values, &scales})
        found[round].insert(found[round].end(), *bytes + 0, *bytes + bytes->count);
    }
    require(found[0] == found[1], "quantising: a second run gives something else");
  }
}

void products(ck_form form, int64_t N, int64_t K, int threads) {
  const Matrix weight(form, N, K);
  for (int64_t R : {1, 2, 3, 4, 5, 7, 8, 9, 16, 18}) {
    const Floats x(R * K);
    Floats y(R * N, true);
    check(named("product", {form, R, N, K}), {&y}, {}, [&] {
      return ck_narrow_product(R, x, &weight.value, y, threads);
    });
  }
  for (int64_t R : {1, 6, 17, 23}) {
    const Floats x(R * K);
    Floats y(R * N, true);
    check(named("wide product", {form, R, N, K}), {&y}, {}, [&] {
      return ck_wide_product(R, x, &weight.value, y, threads);
    });
  }
  for (int64_t first : {int64_t(0), N / 2, N - 1}) {
    Floats rows((N - first) * K, true);
    check(named("rows", {form, first, N, K}), {&rows}, {}, [&] {
      return ck_expand(&weight.value, first, N - first, rows, threads);
    });
  }
}

/// Keys and values of one text, kept in some form: `start` positions, room for `rows` new ones and no more.
class Kept {
 public:
  Kept(ck_form form, int64_t K, int64_t d, int64_t start, int64_t rows)
      : keys(valueBytes(form, 1, K * (start + rows) * d)), values(keys.count), keyScales(K * (start + rows)),
        valueScales(K * (start + rows)) {
    const int64_t count = K * (start + rows) * d;
    for (const Bytes *bytes : {&keys, &values}) {
      const Floats floats(count);
      if (form == CK_FLOAT32) {
        std::memcpy(*bytes, floats, size_t(bytes->count));
      } else if (form == CK_BFLOAT16) {
        round(floats, count, bytes->as<uint16_t>());
      } else {
        for (int64_t i = 0; i < count; i++) bytes->as<int8_t>()[i] = int8_t(floats[i] * 127);
      }
    }
    const bool isScaled = form == CK_INT8;
    value = {form, start + rows, start, rows, keys, values, isScaled ? keyScales.operator float *() : nullptr,
             isScaled ? valueScales.operator float *() : nullptr};
  }

  ck_memory value;

 private:
  Bytes keys, values;
  Floats keyScales, valueScales;
};

/// Texts are (start, rows).
void attentionSteps(
    ck_form form, ck_form kept, int64_t D, int64_t H, int64_t K, int64_t d,
    const std::vector<std::pair<int64_t, int64_t>> &texts, int threads) {
  const Floats norm(D), queryNorm(d), keyNorm(d);
  const Matrix query(form, H * d, D), key(form, K * d, D), value(form, K * d, D), output(form, D, H * d);
  const ck_attention_layer layer{
      H, K, d, 1e-5f, norm, queryNorm, keyNorm, query.value, key.value, value.value, output.value};
  std::vector<std::unique_ptr<Kept>> memory;
  std::vector<ck_memory> memories;
  int64_t R = 0;
  for (const auto &[start, rows] : texts) {
    memory.push_back(std::make_unique<Kept>(kept, K, d, start, rows));
    memories.push_back(memory.back()->value);
    R += rows;
  }
  const Floats x(R * D), cosine(R * d), sine(R * d);
  Floats y(R * D, true);
  for (bool addsInput : {false, true})
    check(named("attention's step", {form, kept, D, H, K, d, R}), {&y}, {}, [&] {
      return ck_attention_step(
          &layer, memories.data(), int64_t(memories.size()), x, cosine, sine, addsInput, y, threads);
    });
}

/// Without experts if there are none.
void feedForwardSteps(
    ck_form form, int64_t D, int64_t F, int64_t experts, int64_t chosen, int64_t R, int threads) {
  const Floats norm(D), x(R * D);
  const Matrix router(CK_FLOAT32, std::max<int64_t>(experts, 1), D);
  std::vector<std::unique_ptr<Matrix>> owned;
  std::vector<ck_matrix> gate, up, down;
  auto add = [&](std::vector<ck_matrix> &matrices, int64_t outputs, int64_t inputs) {
    owned.push_back(std::make_unique<Matrix>(form, outputs, inputs));
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
    check(named("feed-forward's step", {form, D, F, experts, R}), {&y}, {}, [&] {
      return ck_feed_forward_step(&layer, R, x, flag, y, threads);
    });
  }
}

void draws(int64_t R, int64_t W, int threads) {
  const Floats x(R * W);
  std::vector<double> numbers(size_t(R), 0.999);
  const std::unique_ptr<bool[]> seen(new bool[size_t(R * W)]());
  std::vector<int64_t> places(static_cast<size_t>(R));
  const ck_draw_settings settings[] = {
      {1, 0, 1, 0, 1}, {0.5, 3, 1, 0, 1.2}, {2, 0, 0.9, 0, 1}, {1, W / 2 + 1, 0.99, 0.1, 0.9}, {1, 2 * W, 1e-9, 1, 1}};
  for (const ck_draw_settings &each : settings)
    for (const bool *known : {static_cast<const bool *>(nullptr), static_cast<const bool *>(seen.get())})
      check(named("draw", {R, W}), {}, {}, [&] {
        return ck_draw(R, W, x, numbers.data(), known, &each, places.data(), threads);
      });
}

}  // namespace

void decoding(int threads) {
  for (int64_t W : {1, 2, 17, 511, 512, 513, 1030}) draws(3, W, threads);

  const int64_t weights[][2] = {{1, 1}, {3, 31}, {2, 33}, {5, 100}, {7, 128}, {300, 129}, {65, 511}, {130, 1100}};
  for (const auto &[N, K] : weights) {
    quantizings(N, K, threads);
    for (ck_form form : forms) products(form, N, K, threads);
  }
  for (ck_form form : forms) {
    for (ck_form kept : {CK_FLOAT32, CK_BFLOAT16, CK_INT8}) {
      attentionSteps(form, kept, 1, 1, 1, 2, {{0, 1}}, threads);
      attentionSteps(form, kept, 33, 3, 1, 10, {{0, 5}, {7, 1}}, threads);
      attentionSteps(form, kept, 64, 4, 2, 34, {{70, 1}, {3, 4}, {0, 9}}, threads);
      attentionSteps(form, kept, 130, 2, 2, 64, {{1500, 1}}, threads);
      attentionSteps(form, kept, 20, 16, 2, 6, {{260, 16}}, threads);
    }
    feedForwardSteps(form, 1, 1, 0, 1, 1, threads);
    feedForwardSteps(form, 33, 37, 0, 1, 3, threads);
    feedForwardSteps(form, 128, 301, 0, 1, 16, threads);
    feedForwardSteps(form, 24, 12, 5, 2, 1, threads);
    feedForwardSteps(form, 40, 33, 4, 4, 7, threads);
    feedForwardSteps(form, 31, 130, 9, 3, 16, threads);
  }
}
