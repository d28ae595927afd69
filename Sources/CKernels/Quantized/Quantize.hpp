// Quantization: weights of float32 as integers, 32 of a row under one bfloat16 scale.
//
// The integers must not depend on the vector code: every product is rounded before it is added to anything, and sums are
// formed in the same order for every width of a register.
#pragma once

#include "Quantized/WeightFormats.hpp"

namespace ckernels::CK_CODE {

constexpr int groupSize = 32, groupVectors = groupSize / lanes;

/// A group of weights whose largest magnitude is from 2^-110 up to 2^126, multiplied by a power of two so that the largest,
/// `peak`, has a magnitude from 1 to 2. Then every scale and every square is a normal number.
struct WeightGroup {
  Vector weights[groupVectors];
  float peak;
  int exponent;
};

CK_INLINE float powerOfTwo(int exponent) { return __builtin_bit_cast(float, std::uint32_t(127 + exponent) << 23); }

/// Rounds to bfloat16, away from zero.
CK_INLINE float roundedAway(float value) {
  return __builtin_bit_cast(float, (__builtin_bit_cast(std::uint32_t, value) + 0xffff) & 0xffff0000);
}

/// The integer from `lowest` to `highest` that is nearest to each weight over the scale.
CK_INLINE Vector quantized(Vector weights, Vector scale, Vector lowest, Vector highest) {
  // Rounds magnitudes below 2^22 to the nearest integer, halves to even.
  const Vector rounding = 12582912.0f, nearest = (weights / scale + rounding) - rounding;
  return nearest < lowest ? lowest : nearest > highest ? highest : nearest;
}

/// The quantization errors of a group under some scales, one a lane.
struct QuantizationErrors {
  Vector scales, maximum = 0.0f;

  /// The sums of squares over the weights `first`, `first` + `step` and so on, halves of them at a time.
  template <int first, int step>
  CK_INLINE Vector squares(const float *weights) {
#pragma clang fp contract(off)
    if constexpr (step == groupSize) {
      const Vector weight = weights[first];
      const Vector error = weight - scales * quantized(weight, scales, -8.0f, 7.0f);
      maximum = __builtin_elementwise_max(maximum, __builtin_elementwise_abs(error));
      return error * error;
    } else {
      const Vector even = squares<first, 2 * step>(weights);
      return even + squares<first + step, 2 * step>(weights);
    }
  }
};

/// The scale of an int4 group. The one that maps the weight of largest magnitude to -8 changes no weight by more than an
/// eighth of that magnitude; of it and some near it with the same bound, the one with the smallest sum of squared errors.
inline float scaleForInt4(const WeightGroup &group) {
  // One in each lane, the last one unused. Of equal sums the first is chosen.
  constexpr int candidates = 16;
  static constexpr float factors[candidates] = {1,     0.88f, 0.90f, 0.92f, 0.94f, 0.96f, 0.98f, 1.02f,
                                                1.04f, 1.06f, 1.08f, 1.10f, 1.12f, 1.14f, 1.16f, 1};
  const float plain = roundedAway(group.peak / -8), bound = std::fabs(group.peak) / 8;
  alignas(Vector) float weights[groupSize], scales[candidates], squares[candidates];
  std::memcpy(weights, group.weights, sizeof(weights));
  CK_UNROLL
  for (int i = 0; i < candidates; i++) scales[i] = roundedAway(plain * factors[i]);
  for (int i = 0; i < candidates; i += lanes) {
    QuantizationErrors errors{load(scales + i)};
    const Vector sums = errors.squares<0, 1>(weights);
    store(squares + i, errors.maximum > bound ? Vector(INFINITY) : sums);
  }
  int best = 0;
  for (int i = 1; i < candidates; i++) best = squares[i] < squares[best] ? i : best;
  return scales[best];
}

/// Reads the first `count` weights of a group, at most 32; false if one is not finite or too large.
CK_INLINE bool readGroup(const float *weights, Index count, WeightGroup &group) {
  float padded[groupSize] = {};
  if (count < groupSize) {
    std::copy_n(weights, count, padded);
    weights = padded;
  }
  Words bits = 0;
  CK_UNROLL
  for (int i = 0; i < groupVectors; i++) {
    group.weights[i] = load(weights + i * lanes);
    bits = __builtin_elementwise_max(bits, __builtin_bit_cast(Words, group.weights[i]) & 0x7fffffffu);
  }
  const float magnitude = __builtin_bit_cast(float, __builtin_reduce_max(bits));
  if (!(magnitude < 0x1p126f)) return false;
  group.peak = 0;
  if (magnitude < 0x1p-110f) return true;
  const float *peak = weights;
  while (std::fabs(*peak) != magnitude) peak++;
  group.exponent = int(__builtin_bit_cast(std::uint32_t, magnitude) >> 23) - 127;
  const float power = powerOfTwo(-group.exponent);
  group.peak = *peak * power;
  CK_UNROLL
  for (int i = 0; i < groupVectors; i++) group.weights[i] *= power;
  return true;
}

CK_INLINE void storeInt8(const WeightGroup &group, float scale, Index count, std::int8_t *values) {
  typedef std::int8_t Bytes __attribute__((ext_vector_type(CK_LANES)));
  Bytes bytes[groupVectors];
  CK_UNROLL
  for (int i = 0; i < groupVectors; i++)
    bytes[i] = __builtin_convertvector(quantized(group.weights[i], scale, -127.0f, 127.0f), Bytes);
  std::memcpy(values, bytes, std::size_t(count));
}

/// Stores a group in Int4Format, in four words that are `words` words apart.
CK_INLINE void storeInt4(const WeightGroup &group, float scale, Index words, std::uint8_t *values) {
  typedef std::uint8_t Bytes __attribute__((ext_vector_type(4)));
  float numbers[groupSize];
  CK_UNROLL
  for (int i = 0; i < groupVectors; i++)
    store(numbers + i * lanes, quantized(group.weights[i], scale, -8.0f, 7.0f) + 8.0f);
  CK_UNROLL
  for (Index t = 0; t < Int4Format::wordsOfGroup; t++) {
    const Bytes word = __builtin_convertvector(loadQuad(numbers + 8 * t), Bytes) |
                       __builtin_convertvector(loadQuad(numbers + 8 * t + 4), Bytes) << 4;
    std::memcpy(values + t * words * 4, &word, sizeof(word));
  }
}

inline Index groupsOfRow(const ck_quantize_args &args) {
  return args.format == CK_INT4 ? (args.inputs + 127) / 128 * 4 : (args.inputs + groupSize - 1) / groupSize;
}

/// Quantizes one group of a row; false if a weight is impossible.
CK_INLINE bool quantizeGroup(const ck_quantize_args &args, Index row, Index index) {
  const bool isInt4 = args.format == CK_INT4;
  const Index groups = groupsOfRow(args), first = index * groupSize,
              count = std::clamp<Index>(args.inputs - first, 0, groupSize);
  WeightGroup group;
  if (!readGroup(args.weight + row * args.inputs + (count > 0 ? first : 0), count, group)) return false;
  // The scale of a group of zeros is zero, but its integers are computed with the scale 1.
  float scale = 1, power = 0;
  if (group.peak != 0) {
    scale = isInt4 ? scaleForInt4(group) : roundedAway(std::fabs(group.peak) / 127);
    power = powerOfTwo(group.exponent);
  } else {
    for (Vector &weights : group.weights) weights = 0.0f;
  }
  if (isInt4) {
    const Index place = index % Int4Format::groups, block = index - place;
    storeInt4(
        group, scale, Int4Format::together(groups - block),
        static_cast<std::uint8_t *>(args.values) + (row * groups + block) * (groupSize / 2) + place * 4);
  } else {
    storeInt8(group, scale, count, static_cast<std::int8_t *>(args.values) + row * args.inputs + first);
  }
  args.scales[row * groups + index] = std::uint16_t(__builtin_bit_cast(std::uint32_t, scale *power) >> 16);
  return true;
}

inline bool quantize(const ck_quantize_args &args, int threads) {
  const Index work = args.outputs * args.inputs * (args.format == CK_INT4 ? 16 : 1);
  const Shares shares = usefulShares(args.outputs, work, threads);
  std::atomic<bool> isPossible{true};
  forEachShare(shares, [&](int, int share) {
    const Index groups = groupsOfRow(args), last = shares.first(share + 1);
    for (Index row = shares.first(share); row < last; row++)
      for (Index index = 0; index < groups; index++)
        if (!quantizeGroup(args, row, index)) return isPossible.store(false, std::memory_order_relaxed);
  });
  return isPossible;
}

}  // namespace ckernels::CK_CODE
