// Quantized weights: quantized by the kernel, and dequantized by operators that every device has.
#include "Layers/Quantized.hpp"
#include "Core/Parallel.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include <algorithm>

#include "ckernels_decoding.h"
#include "Core/Matrices.hpp"

namespace wideband {
namespace {

constexpr int64_t groupSize = 32, groupsTogether = 16, wordsOfGroup = 4;

/// Groups of a row in four bits: there are always four of them, or a multiple.
int64_t paddedGroups(int64_t inputs) { return (inputs + 4 * groupSize - 1) / (4 * groupSize) * 4; }

/// Integers from -8 to 7 [rows, columns] of words [rows, columns / 8], in which `groups` groups of a row are interleaved.
at::Tensor unpackedBlocks(const at::Tensor &words, int64_t groups) {
  const int64_t rows = words.size(0), blocks = words.size(1) / (groups * wordsOfGroup);
  // Word t of every group, then the next one of every group. The lower halves of four bytes hold four numbers, the upper
  // ones the next four.
  auto bytes = words.contiguous().view(at::kByte).view({rows, blocks, wordsOfGroup, groups, 4});
  auto nibbles = at::stack({bytes.bitwise_and(15), bytes.bitwise_right_shift(4)}, 4);
  return nibbles.transpose(2, 3).reshape({rows, blocks * groups * groupSize}).to(at::kFloat).sub_(8);
}

at::Tensor unpacked(const at::Tensor &words) {
  const int64_t whole = words.size(1) / (groupsTogether * wordsOfGroup) * groupsTogether * wordsOfGroup;
  const int64_t left = words.size(1) - whole;
  if (left == 0) return unpackedBlocks(words, groupsTogether);
  return at::cat(
      {unpackedBlocks(words.narrow(1, 0, whole), groupsTogether),
       unpackedBlocks(words.narrow(1, whole, left), left / wordsOfGroup)},
      1);
}

/// Dequantizes values [rows, …] with scales [rows, …]: [rows, inputs] of float32.
at::Tensor floats(const at::Tensor &values, const at::Tensor &scales, int64_t inputs) {
  auto numbers = values.scalar_type() == at::kInt ? unpacked(values) : values.to(at::kFloat);
  auto spread = scales.to(at::kFloat).repeat_interleave(groupSize, 1);
  return numbers.narrow(1, 0, inputs).mul(spread.narrow(1, 0, inputs));
}

/// Single rows of a matrix in the processor's memory.
at::Tensor dequantizedRows(const wb_matrix &matrix, const at::Tensor &indices) {
  const auto kernels = asKernels(matrix);
  const auto places = indices.to(at::kLong).contiguous();
  const auto *place = static_cast<const int64_t *>(places.const_data_ptr());
  auto rows = at::empty({places.numel(), matrix.inputs}, at::kFloat);
  for (int64_t each = 0; each < places.numel(); each++) {
    const ck_dequantize_args args{
        .matrix = &kernels, .first = place[each], .count = 1, .y = mutableData(rows) + each * matrix.inputs};
    TORCH_CHECK_INDEX(
        ck_dequantize(&args, 1), "index ", place[each], " is out of range: expected less than ", kernels.outputs);
  }
  return rows;
}

}  // namespace

at::Tensor dequantized(const wb_matrix &matrix) { return dequantized(matrix, 0, matrix.values->value.size(0)); }

at::Tensor dequantized(const wb_matrix &matrix, int64_t first, int64_t count) {
  auto values = matrix.values->value.narrow(0, first, count);
  if (!matrix.scales) return values;
  return floats(values, matrix.scales->value.narrow(0, first, count), matrix.inputs);
}

}  // namespace wideband

using namespace wideband;

bool wb_quantize(const wb_tensor *weight, bool is_int4, wb_tensor **values, wb_tensor **scales) {
  return guardedAction([&] {
    const auto &source = weight->value;
    TORCH_CHECK(source.dim() == 2 && source.size(1) > 0, "expected a weight [out, in]");
    const int64_t outputs = source.size(0), inputs = source.size(1);
    const int64_t groups = is_int4 ? paddedGroups(inputs) : (inputs + groupSize - 1) / groupSize;
    auto numbers = at::empty({outputs, is_int4 ? groups * wordsOfGroup : inputs}, is_int4 ? at::kInt : at::kChar);
    auto factors = at::empty({outputs, groups}, at::kBFloat16);
    // Some rows at a time, so that a weight of another type or on another device is never copied as a whole.
    const int64_t together = std::max<int64_t>((int64_t(1) << 22) / inputs, 1);
    for (int64_t first = 0; first < outputs; first += together) {
      const int64_t count = std::min(together, outputs - first);
      auto rows = source.narrow(0, first, count).detach().to(at::kCPU, at::kFloat).contiguous();
      const ck_quantize_args args{
          .format = is_int4 ? CK_INT4 : CK_INT8,
          .outputs = count,
          .inputs = inputs,
          .weight = data(rows),
          .values = numbers.narrow(0, first, count).mutable_data_ptr(),
          .scales = static_cast<uint16_t *>(factors.narrow(0, first, count).mutable_data_ptr())};
      TORCH_CHECK(ck_quantize(&args, threadCount()), "holds a number that is not finite, or of 2^126 or more");
    }
    *values = handle(numbers.to(source.device()));
    *scales = handle(factors.to(source.device()));
  });
}

wb_tensor *wb_dequantize(wb_matrix matrix) {
  return guardedTensor([&] { return dequantized(matrix); });
}

wb_tensor *wb_index_select(wb_matrix matrix, const wb_tensor *indices) {
  return guardedTensor([&] {
    const auto &places = indices->value;
    const auto flat = places.reshape({-1});
    auto shape = places.sizes().vec();
    shape.push_back(matrix.inputs);
    if (isReadable(matrix)) return dequantizedRows(matrix, flat).view(shape);
    auto rows =
        floats(matrix.values->value.index_select(0, flat), matrix.scales->value.index_select(0, flat), matrix.inputs);
    return rows.view(shape);
  });
}
