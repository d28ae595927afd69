// Weights in the formats that the kernels read in place: float32, bfloat16, and integers under scales.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>

#include "ckernels_decoding.h"
#include "Core/Internal.hpp"

namespace wideband {

/// Whether the kernels can read a matrix in place: [out, in] in the processor's memory, in one of their formats.
bool isReadable(const wb_matrix &matrix);

/// The format of weights, keys or values that are stored in a dtype of the kernels.
ck_weight_format formatOf(const at::Tensor &values);

/// A readable matrix as the kernels take it.
ck_matrix asKernels(const wb_matrix &matrix);

/// Whether autograd tracks operators on any of the tensors.
template <typename... Tensors>
bool requiresGradient(const Tensors &...tensors) {
  return c10::GradMode::is_enabled() && (tensors.requires_grad() || ...);
}

/// Whether x [..., in] has at most ck_maximum_skinny_rows rows, and neither x nor the weight a derivative to compute.
bool isSkinny(const at::Tensor &x, const wb_matrix &weight);

/// x [..., in] times a readable weight [out, in] transposed, the weight read from memory once; no derivative.
at::Tensor skinnyGEMM(const at::Tensor &x, const wb_matrix &weight);

/// The same for contiguous x, written to `result`.
void skinnyGEMM(const at::Tensor &x, const wb_matrix &weight, const at::Tensor &result);

/// The same for many rows, with other bits; no derivative.
at::Tensor gemm(const at::Tensor &x, const wb_matrix &weight);

/// y [..., out] times a readable weight [out, in]: the gradient of x from that of gemm's result.
at::Tensor gemmBackward(const at::Tensor &y, const wb_matrix &weight);

}  // namespace wideband
