// Products of a few rows with matrices that are read from memory once for all rows.
#pragma once

#include "Quantized/PackedActivations.hpp"
#include "SIMD/Reductions.hpp"

namespace ckernels::CK_CODE {

/// Outputs whose sums are in registers together: several, so that one load of an activation serves several products. For
/// formats with a long chunk four outputs would be slower from memory, though faster in cache.
template <class Format, int Rows>
constexpr int outputsTogether() {
  if constexpr (isInteger<Format>) return Format::template outputsTogether<Rows>;
  return CK_REGISTERS == 32 ? (Rows <= 4 ? 4 : 2) : (Rows <= 2 ? 4 : Rows <= 5 ? 2 : 1);
}

/// Rows whose sums are in registers together.
template <class Format>
constexpr int skinnyRows = isInteger<Format> ? 4 : 8;

/// One chunk of `Outputs` rows of weights times all rows of activations. `place` is the chunk's index in activations and
/// scales, `weights` points at the chunk in the first row.
template <class Format, int Rows, int Outputs>
CK_INLINE void skinnyStep(
    const std::uint8_t *weights, Index stride, const std::uint16_t *scales, Index scaleStride, const float *x,
    Index width, Index place, Vector (&sums)[Outputs][Rows]) {
  typename Format::Raw raw[Outputs];
  Vector scale[Outputs];
  CK_UNROLL
  for (int output = 0; output < Outputs; output++) {
    raw[output] = Format::raw(weights + output * stride);
    if constexpr (Format::isScaled) scale[output] = Format::scale(scales + output * scaleStride, place);
  }
  CK_UNROLL
  for (int i = 0; i < Format::chunk / lanes; i++) {
    Vector values[Outputs];
    CK_UNROLL
    for (int output = 0; output < Outputs; output++) {
      values[output] = Format::piece(raw[output], i);
      if constexpr (Format::isScaled) values[output] *= scale[output];
    }
    CK_UNROLL
    for (int row = 0; row < Rows; row++) {
      const Vector activation = load(x + row * width + Format::place(place, i));
      CK_UNROLL
      for (int output = 0; output < Outputs; output++) sums[output][row] += values[output] * activation;
    }
  }
}

/// One matrix and the activations that it is multiplied by.
struct SkinnyTask {
  const ck_matrix *matrix;
  const float *x;  ///< [rows, width], from `PackedActivations`
  Index rows, width;
  float *y;  ///< [rows, outputs]
};

/// The rest of the rows after their last whole chunk, padded with zeros to a chunk.
template <class Format, int Outputs>
struct LastChunk {
  std::uint8_t weights[Outputs][Format::bytes] = {};

  CK_INLINE LastChunk(const FormatRows<Format> &rows, Index whole) {
    const Index left = rows.stride - whole * Format::bytes;
    for (int each = 0; each < Outputs; each++)
      std::memcpy(weights[each], rows.values + each * rows.stride + whole * Format::bytes, std::size_t(left));
  }
};

/// The same for integer weights, with their scales.
template <class Format, int Outputs>
struct LastIntegerChunk {
  std::uint8_t weights[Outputs][Format::bytes] = {};
  std::uint16_t scales[Outputs][Format::groups] = {};

  CK_INLINE LastIntegerChunk(const FormatRows<Format> &rows, Index whole) {
    const Index left = rows.stride - whole * Format::bytes, groups = rows.scaleStride - whole * Format::groups;
    // Four-bit groups are interleaved word by word.
    const Index runs = std::is_base_of_v<Int4Format, Format> ? Index(Int4Format::wordsOfGroup) : 1;
    for (int each = 0; each < Outputs; each++) {
      const std::uint8_t *from = rows.values + each * rows.stride + whole * Format::bytes;
      for (Index run = 0; run < runs; run++)
        std::memcpy(weights[each] + run * (Format::bytes / runs), from + run * (left / runs), std::size_t(left / runs));
      std::copy_n(rows.scales + each * rows.scaleStride + whole * Format::groups, groups, scales[each]);
    }
  }
};

template <class Format, int Rows, int Outputs>
CK_INLINE void skinnyEnd(
    const FormatRows<Format> &rows, const float *x, Index width, Index whole, Vector (&sums)[Outputs][Rows]) {
  if (rows.stride == whole * Format::bytes) return;
  if constexpr (isInteger<Format>) {
    const LastIntegerChunk<Format, Outputs> last(rows, whole);
    Format::step(
        Int16Step{last.weights[0], Format::bytes, last.weights[0], last.scales[0], Format::groups, x, width, whole},
        sums);
  } else {
    const LastChunk<Format, Outputs> last(rows, whole);
    skinnyStep<Format>(last.weights[0], Format::bytes, rows.scales, rows.scaleStride, x, width, whole, sums);
  }
}

template <class Format, int Rows, int Outputs>
CK_INLINE void skinnyBlock(const SkinnyTask &task, Index firstRow, Index output) {
  const ck_matrix &matrix = *task.matrix;
  const FormatRows<Format> rows(matrix, output);
  const float *x = task.x + firstRow * task.width;
  Vector sums[Outputs][Rows] = {};
  const Index whole = rows.stride / Format::bytes;
  // Far enough for the latency of memory, near enough that the weights are still in cache when they are needed.
  constexpr Index prefetchDistance = 8192;
  const Index block = Outputs * rows.stride, blocks = (prefetchDistance + block - 1) / block;
  // Later outputs' weights in the order of memory: a step prefetches as much as it reads.
  const std::uint8_t *weights = rows.values, *next = weights + blocks * block;
  for (Index chunk = 0; chunk < whole; chunk++, weights += Format::bytes, next += Outputs * Format::bytes) {
    if constexpr (isInteger<Format>) {
      Format::step(
          Int16Step{
              weights, rows.stride, next, rows.scales + chunk * Format::groups, rows.scaleStride, x, task.width, chunk},
          sums);
    } else {
      CK_UNROLL
      for (int line = 0; line < Outputs; line++) prefetchOnce(next + line * Format::bytes);
      skinnyStep<Format>(weights, rows.stride, rows.scales, rows.scaleStride, x, task.width, chunk, sums);
    }
  }
  skinnyEnd(rows, x, task.width, whole, sums);
  forEachOf<Rows, Outputs>([&](int row, int each) {
    task.y[(firstRow + row) * matrix.outputs + output + each] = sumByHalves(sums[each][row]);
  });
}

template <class Format, int Rows>
void skinnyOutputs(const SkinnyTask &task, Index row, Index first, Index last) {
  constexpr int together = outputsTogether<Format, Rows>();
  for (; first + together <= last; first += together) skinnyBlock<Format, Rows, together>(task, row, first);
  for (; first < last; first++) skinnyBlock<Format, Rows, 1>(task, row, first);
}

template <class Format, std::size_t... R>
constexpr std::array<void (*)(const SkinnyTask &, Index, Index, Index), sizeof...(R)> makeSkinnyOutputs(
    std::index_sequence<R...>) {
  return {skinnyOutputs<Format, int(R) + 1>...};
}

/// All rows with some consecutive outputs, so few that their weights stay in the innermost caches.
template <class Format>
void skinnyRange(const SkinnyTask &task, Index first, Index last) {
  constexpr Index outputsAtOnce = 12, together = skinnyRows<Format>;
  constexpr auto products = makeSkinnyOutputs<Format>(std::make_index_sequence<std::size_t(together)>());
  for (Index next; first < last; first = next) {
    next = task.rows <= together ? last : std::min(first + outputsAtOnce, last);
    for (Index row = 0; row < task.rows; row += together)
      products[std::size_t(std::min(together, task.rows - row) - 1)](task, row, first, next);
  }
}

/// Outputs [first, last) of the concatenated outputs of all tasks.
inline void skinnyOutputsOfAll(const SkinnyTask *tasks, int count, bool hasDotProducts, Index first, Index last) {
  for (int each = 0; each < count && last > 0; each++) {
    const SkinnyTask &task = tasks[each];
    const Index end = std::min<Index>(last, task.matrix->outputs);
    if (first < end) {
      switch (task.matrix->format) {
        case CK_FLOAT32: skinnyRange<Float32Format>(task, first, end); break;
        case CK_BFLOAT16: skinnyRange<BFloat16Format>(task, first, end); break;
        case CK_INT8: skinnyRange<SkinnyInt8Format>(task, first, end); break;
        case CK_INT4:
          if (hasDotProducts)
            skinnyRange<SkinnyInt4Format<true>>(task, first, end);
          else
            skinnyRange<SkinnyInt4Format<false>>(task, first, end);
          break;
      }
    }
    first = std::max<Index>(first - task.matrix->outputs, 0);
    last -= task.matrix->outputs;
  }
}

/// The rows of a matrix, for prefetching.
inline RowsRead::Table tableOf(const ck_matrix &matrix) {
  return withFormat(matrix.format, [&](auto format) {
    const FormatRows<decltype(format)> rows(matrix, 0);
    return RowsRead::Table{
        reinterpret_cast<const char *>(rows.values), reinterpret_cast<const char *>(rows.scales), matrix.outputs,
        rows.stride, rows.scaleStride * 2};
  });
}

/// Independent products, whose outputs are shared among the threads as if they were those of one matrix.
inline void skinnyGEMMs(const SkinnyTask *tasks, int count, int threads) {
  const bool hasDotProducts = code().hasDotProducts;
  RowsRead rows;
  Index work = 0;
  for (int each = 0; each < count; each++) {
    const ck_matrix &matrix = *tasks[each].matrix;
    if (each < RowsRead::maximumTables) rows.tables[rows.tableCount++] = tableOf(matrix);
    rows.count += matrix.outputs;
    work += matrix.outputs * matrix.inputs * tasks[each].rows;
  }
  // Few, so that no thread waits long for another.
  constexpr Index outputsAtOnce = 16;
  forEachRange(
      rows.count, outputsAtOnce, usefulParts(rows.count, work, threads),
      [=](int, Index first, Index last) { skinnyOutputsOfAll(tasks, count, hasDotProducts, first, last); }, &rows);
}

/// y = x [rows, inputs] times the matrix transposed, with `memory` for packed activations.
inline void skinnyGEMM(const ck_matrix &matrix, const float *x, Index rows, float *memory, float *y, int threads) {
  const SkinnyTask task{
      &matrix, PackedActivations::rows(matrix, x, rows, memory), rows, PackedActivations::width(matrix), y};
  skinnyGEMMs(&task, 1, threads);
}

inline bool skinnyGEMM(const ck_gemm_args &args, int threads) {
  const ck_matrix &matrix = *args.weight;
  float *memory = nullptr;
  if (!PackedActivations::areInPlace(matrix)) {
    memory = scratch(std::size_t(args.rows * PackedActivations::width(matrix)));
    if (!memory) return false;
  }
  skinnyGEMM(matrix, args.x, args.rows, memory, args.y, threads);
  return true;
}

}  // namespace ckernels::CK_CODE
