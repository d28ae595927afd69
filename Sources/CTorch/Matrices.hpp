// Weights in the forms that the kernels read in place: floats, bfloat16 and whole numbers under scales.
#pragma once

#include <ATen/core/Tensor.h>

#include "Internal.h"
#include "ckernels_decoding.h"

namespace wideband {

/// Whether the kernels can read a matrix where it lies: [out, in] in the processor's memory, in a form of theirs.
bool isReadable(const wb_matrix &matrix);

/// A readable matrix as the kernels take it.
ck_matrix asKernels(const wb_matrix &matrix);

/// A text's keys and values [1, K, capacity, hd] as the kernels take them; throws where they have no room for its rows.
ck_memory memoryOf(const wb_memory &text);

/// Whether a derivative is to be recorded of what is made of a tensor.
bool isRecorded(const at::Tensor &tensor);

/// Rows up to which a product reads its weight once, row after row.
constexpr int64_t mostNarrowRows = 16;

/// Whether x [..., in] has so few rows, and no derivative to record, that narrowProduct is the way.
bool isNarrow(const at::Tensor &x, const wb_matrix &weight);

/// x [..., in] times a readable weight [out, in] transposed, the weight read from memory once; no derivative.
at::Tensor narrowProduct(const at::Tensor &x, const wb_matrix &weight);

/// The same for contiguous x, written to `result`.
void narrowProduct(const at::Tensor &x, const wb_matrix &weight, const at::Tensor &result);

/// The same made for many rows, with other bits; no derivative.
at::Tensor wideProduct(const at::Tensor &x, const wb_matrix &weight);

/// y [..., out] times a readable weight [out, in], which is the gradient of wideProduct's x from that of its result.
at::Tensor blockedProductBack(const at::Tensor &y, const wb_matrix &weight);

}  // namespace wideband
