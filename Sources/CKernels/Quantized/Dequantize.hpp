// Rows of a matrix of any format as floats.
#pragma once

#include "Quantized/WeightFormats.hpp"

namespace ckernels::CK_CODE {

/// Stores the floats of one chunk at `y`.
template <class Format>
CK_INLINE void dequantizeChunk(const std::uint8_t *weights, const std::uint16_t *scales, Index chunk, float *y) {
  const typename Format::Raw raw = Format::raw(weights);
  CK_UNROLL
  for (int i = 0; i < Format::chunk / lanes; i++) {
    Vector values = Format::piece(raw, i);
    if constexpr (Format::isScaled) values *= Format::scale(scales, chunk);
    store(y + i * lanes, values);
  }
}

template <class Format>
void dequantizeRow(const ck_matrix &matrix, Index row, float *y) {
  const FormatRows<Format> rows(matrix, row);
  const Index inputs = matrix.inputs;
  Index chunk = 0;
  for (; (chunk + 1) * Format::chunk <= inputs; chunk++)
    dequantizeChunk<Format>(rows.values + chunk * Format::bytes, rows.scales, chunk, y + chunk * Format::chunk);
  const Index left = inputs - chunk * Format::chunk;
  if (left == 0) return;
  std::uint8_t bytes[Format::bytes] = {};
  std::memcpy(bytes, rows.values + chunk * Format::bytes, std::size_t(rows.stride - chunk * Format::bytes));
  float values[Format::chunk];
  dequantizeChunk<Format>(bytes, rows.scales, chunk, values);
  std::copy_n(values, left, y + chunk * Format::chunk);
}

/// Dequantizes a four-bit group, whose four words are `words` words apart, to 32 floats in order.
CK_INLINE void dequantizeGroup(const std::uint8_t *first, Index words, float scale, float *y) {
  typedef std::uint8_t Bytes __attribute__((ext_vector_type(4)));
  CK_UNROLL
  for (Index t = 0; t < Int4Format::wordsOfGroup; t++) {
    Bytes word;
    __builtin_memcpy(&word, first + t * words * 4, sizeof(word));
    const Quad low = (__builtin_convertvector(word & 15, Quad) - 8.0f) * scale;
    const Quad high = (__builtin_convertvector(word >> 4, Quad) - 8.0f) * scale;
    __builtin_memcpy(y + t * 8, &low, sizeof(low));
    __builtin_memcpy(y + t * 8 + 4, &high, sizeof(high));
  }
}

template <>
inline void dequantizeRow<Int4Format>(const ck_matrix &matrix, Index row, float *y) {
  const FormatRows<Int4Format> rows(matrix, row);
  const Index inputs = matrix.inputs, groups = (inputs + 31) / 32;
  for (Index group = 0; group < groups; group++) {
    const Index block = group / Int4Format::groups, place = group % Int4Format::groups;
    const Index words = Int4Format::together(rows.scaleStride - block * Int4Format::groups);
    const std::uint8_t *first = rows.values + block * Int4Format::bytes + place * 4;
    const float scale = __builtin_bit_cast(float, std::uint32_t(rows.scales[group]) << 16);
    const Index left = inputs - group * 32;
    if (left >= 32) {
      dequantizeGroup(first, words, scale, y + group * 32);
    } else {
      float values[32];
      dequantizeGroup(first, words, scale, values);
      std::copy_n(values, left, y + group * 32);
    }
  }
}

inline void dequantizeEach(const ck_dequantize_args &args, Index index) {
  const ck_matrix &matrix = *args.matrix;
  withFormat(matrix.format, [&](auto format) {
    dequantizeRow<decltype(format)>(matrix, args.first + index, args.y + index * matrix.inputs);
  });
}

inline bool dequantize(const ck_dequantize_args &args, int threads) {
  return forEachRow<dequantizeEach>(args, args.count, args.count * args.matrix->inputs, threads);
}

}  // namespace ckernels::CK_CODE
