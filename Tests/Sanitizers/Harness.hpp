// How scripts/sanitize runs a kernel, and the checks of its results.
#pragma once

#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

inline int failures = 0;

inline void require(bool holds, const std::string &what) {
  if (holds) return;
  std::fprintf(stderr, "sanitize: %s\n", what.c_str());
  failures++;
}

/// Memory at the end of an allocation, aligned only like a float. Accesses after it are errors, and so are those more than
/// four bytes before it.
class Bytes {
 public:
  explicit Bytes(int64_t count)
      : count(count), memory(std::malloc(size_t(count) + 12)), data(static_cast<uint8_t *>(memory) + 12) {
    ASAN_POISON_MEMORY_REGION(memory, 8);
  }
  Bytes(const Bytes &) = delete;
  ~Bytes() {
    ASAN_UNPOISON_MEMORY_REGION(memory, 8);
    std::free(memory);
  }

  operator uint8_t *() const { return data; }
  /// As integers of another type.
  template <typename Number>
  Number *as() const {
    return reinterpret_cast<Number *>(data);
  }

  const int64_t count;

 private:
  void *memory;
  uint8_t *data;
};

/// Floats in such memory.
class Floats {
 public:
  explicit Floats(int64_t count, bool isOutput = false) : count(count), bytes(4 * count), data(bytes.as<float>()) {
    if (isOutput) {
      clear();
    } else {
      for (int64_t i = 0; i < count; i++) data[i] = next();
    }
  }

  operator float *() const { return data; }
  void clear() { std::fill_n(data, count, NAN); }
  void zero() { std::fill_n(data, count, 0.0f); }
  bool isFinite() const {
    for (int64_t i = 0; i < count; i++)
      if (!std::isfinite(data[i])) return false;
    return true;
  }
  std::vector<float> values() const { return {data, data + count}; }

 private:
  static float next() {
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return float(state >> 8) / float(1 << 23) - 1.0f;
  }

  int64_t count;
  Bytes bytes;
  float *data;
};

using Outputs = std::vector<Floats *>;

/// Runs a kernel twice and checks its results. Sums start at zero, other outputs at NaN.
inline void check(
    const std::string &name, const Outputs &outputs, const Outputs &sums, const std::function<bool()> &run) {
  std::vector<std::vector<float>> before;
  for (int round = 0; round < 2; round++) {
    for (Floats *output : outputs) output->clear();
    for (Floats *sum : sums) sum->zero();
    require(run(), name + ": refused");
    std::vector<std::vector<float>> found;
    for (const Outputs *all : {&outputs, &sums})
      for (Floats *one : *all) {
        require(one->isFinite(), name + ": a result is not finite or was not written");
        found.push_back(one->values());
      }
    require(round == 0 || found == before, name + ": a second run gives something else");
    before = std::move(found);
  }
}

template <typename Args>
void check(
    const std::string &name, const Outputs &outputs, const Outputs &sums, bool (*kernel)(const Args *, int),
    const Args &args, int threads) {
  check(name, outputs, sums, [&] { return kernel(&args, threads); });
}

/// The kernels of decoding.
void decoding(int threads);
