// Weights of float32 as whole numbers, 32 of a row under one bfloat16 scale.
#include <atomic>
#include <cmath>
#include <cstring>

#include "Threads.hpp"
#include "ckernels.h"

// A group's numbers must not depend on whether the processor adds a product in one step.
#pragma clang fp contract(off)

namespace ckernels {
namespace {

constexpr int64_t groupSize = 32, blockSize = 128, blockBytes = blockSize / 2;

/// A group of weights whose largest magnitude is `peak`, from 2^-110 up to 2^126, times the power of two that brings that
/// to between 1 and 2; no scale or square leaves the range of normal numbers so.
struct Group {
  float weights[groupSize];
  float peak;
  int exponent;
};

struct Codes {
  float numbers[groupSize];
  float scale;
};

uint32_t bits(float value) {
  uint32_t all;
  std::memcpy(&all, &value, sizeof(all));
  return all;
}

float fromBits(uint32_t all) {
  float value;
  std::memcpy(&value, &all, sizeof(value));
  return value;
}

/// The nearest bfloat16 that is no smaller in magnitude.
float roundedAway(float value) { return fromBits((bits(value) + 0xffff) & 0xffff0000); }

/// The nearest whole number, for magnitudes below 2^22; the even one of two.
float rounded(float value) {
  constexpr float shift = 12582912;
  return (value + shift) - shift;
}

/// Each weight's number under a scale, and the sum of squares of what that changes; infinite where a weight would move
/// by more than `most`. Plain loops over arrays, which compilers turn into vector code.
float quantize(const Group &group, float scale, float lowest, float highest, float most, Codes &codes) {
  float squares[groupSize];
  int beyond = 0;
  for (int64_t i = 0; i < groupSize; i++) {
    const float nearest = rounded(group.weights[i] / scale);
    const float number = nearest < lowest ? lowest : nearest > highest ? highest : nearest;
    const float change = group.weights[i] - scale * number;
    codes.numbers[i] = number;
    squares[i] = change * change;
    beyond += std::fabs(change) > most;
  }
  codes.scale = scale;
  for (int64_t half = groupSize / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half; i++) squares[i] += squares[i + half];
  return beyond == 0 ? squares[0] : INFINITY;
}

Codes toInt8(const Group &group) {
  Codes codes;
  quantize(group, roundedAway(std::fabs(group.peak) / 127), -127, 127, INFINITY, codes);
  return codes;
}

/// The scale that takes the weight of largest magnitude to -8 fits every group within an eighth of that magnitude. Of
/// that one and some beside it which do as well, the one with the least sum of squares.
Codes toInt4(const Group &group) {
  const float plain = roundedAway(group.peak / -8);
  Codes best;
  float least = quantize(group, plain, -8, 7, INFINITY, best);
  for (int hundredths = 88; hundredths <= 116; hundredths += 2) {
    const float scale = roundedAway(plain * (float(hundredths) / 100));
    Codes codes;
    const float squares = quantize(group, scale, -8, 7, std::fabs(group.peak) / 8, codes);
    if (squares < least) {
      least = squares;
      best = codes;
    }
  }
  return best;
}

struct Job {
  ck_form form;
  int64_t outputs, inputs;
  const float *weight;
  uint8_t *values;
  uint16_t *scales;
  int parts;
  std::atomic<bool> isPossible{true};

  int64_t blocks() const { return (inputs + blockSize - 1) / blockSize; }
  int64_t groups() const { return form == CK_INT4 ? 4 * blocks() : (inputs + groupSize - 1) / groupSize; }
};

/// Reads weights `first` and following of a row; false if one is not finite or too large.
bool read(const Job &job, const float *row, int64_t first, Group &group) {
  float peak = 0;
  bool isPossible = true;
  for (int64_t i = 0; i < groupSize; i++) {
    const float weight = first + i < job.inputs ? row[first + i] : 0;
    isPossible = isPossible && (bits(weight) & 0x7fffffff) < bits(0x1p126f);
    group.weights[i] = weight;
    peak = std::fabs(weight) > std::fabs(peak) ? weight : peak;
  }
  if (!isPossible) return false;
  if (std::fabs(peak) < 0x1p-110f) peak = 0;
  group.exponent = int(bits(peak) >> 23 & 0xff) - 127;
  const float power = fromBits(uint32_t(127 - group.exponent) << 23);
  group.peak = peak * power;
  for (float &weight : group.weights) weight *= power;
  return true;
}

/// Nibble j of word d of a block is weight 32 (d / 4) + 4 j + d % 4 of it.
void store(const Job &job, const Codes &codes, int64_t row, int64_t group) {
  if (job.form == CK_INT8) {
    auto values = reinterpret_cast<int8_t *>(job.values) + row * job.inputs + group * groupSize;
    const int64_t rest = job.inputs - group * groupSize;
    for (int64_t i = 0; i < groupSize && i < rest; i++) values[i] = int8_t(codes.numbers[i]);
    return;
  }
  uint8_t *block = job.values + (row * job.blocks() + group / 4) * blockBytes;
  for (int64_t i = 0; i < groupSize; i += 8)
    for (int64_t k = i; k < i + 4; k++) {
      const int64_t word = group % 4 * 4 + k % 4, byte = k / 8;
      block[word * 4 + byte] = uint8_t(int(codes.numbers[k]) + 8) | uint8_t((int(codes.numbers[k + 4]) + 8) << 4);
    }
}

void part(void *context, int number) {
  Job &job = *static_cast<Job *>(context);
  const int64_t end = job.outputs * (number + 1) / job.parts;
  for (int64_t row = job.outputs * number / job.parts; row < end; row++) {
    for (int64_t index = 0; index < job.groups(); index++) {
      Group group;
      if (!read(job, job.weight + row * job.inputs, index * groupSize, group)) {
        job.isPossible.store(false, std::memory_order_relaxed);
        return;
      }
      Codes codes{};
      if (group.peak != 0) codes = job.form == CK_INT8 ? toInt8(group) : toInt4(group);
      store(job, codes, row, index);
      const float power = fromBits(uint32_t(127 + group.exponent) << 23);
      job.scales[row * job.groups() + index] = group.peak == 0 ? 0 : uint16_t(bits(codes.scale * power) >> 16);
    }
  }
}

}  // namespace
}  // namespace ckernels

bool ck_quantize(
    ck_form form, int64_t outputs, int64_t inputs, const float *weight, void *values, uint16_t *scales,
    int threads) {
  using namespace ckernels;
  if (outputs < 0 || inputs < 1) return false;
  const int parts = usefulParts(outputs, outputs * inputs * (form == CK_INT4 ? 16 : 1), threads);
  Job job{form, outputs, inputs, weight, static_cast<uint8_t *>(values), scales, parts};
  forEachPart(parts, part, &job);
  return job.isPossible;
}
