// Weights as whole numbers, in the forms that ckernels_decoding.h lays down.
#pragma once

#include <ATen/core/Tensor.h>

#include "Internal.h"

namespace wideband {

/// The weight [out, in] of a matrix: the floats themselves, or what whole numbers under scales stand for, in float32.
at::Tensor expanded(const wb_matrix &matrix);

/// The same for the rows of a matrix from `first` on.
at::Tensor expanded(const wb_matrix &matrix, int64_t first, int64_t count);

}  // namespace wideband
