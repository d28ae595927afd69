// Quantized weights, in the formats of ckernels_decoding.h.
#pragma once

#include <ATen/core/Tensor.h>

#include "Core/Internal.hpp"

namespace wideband {

/// The weight [out, in] of a matrix: its floats, or its dequantized integers in float32.
at::Tensor dequantized(const wb_matrix &matrix);

/// The same for `count` rows of a matrix from `first` on.
at::Tensor dequantized(const wb_matrix &matrix, int64_t first, int64_t count);

}  // namespace wideband
