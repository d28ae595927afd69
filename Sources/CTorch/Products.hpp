// Matrix products of float32 on the processor. oneDNN's kernels use the processor's widest vectors whoever made it,
// which the ones behind at::mm do not: on an AMD processor with AVX-512 they take less than half the time.
#pragma once

#include <ATen/ATen.h>

namespace wideband {

/// Whether a product [m,k] [k,n] of such tensors goes through `multiply`: elsewhere, and where it is too small to pay
/// for finding the kernel, at::mm is the better.
bool isLargeProduct(const at::Tensor &a, const at::Tensor &b, int64_t m, int64_t k, int64_t n);

/// `result` [m,n] = a [m,k] b [k,n], added to what it holds if `isAdded`. Either operand may be a transposed view.
void multiply(const at::Tensor &a, const at::Tensor &b, const at::Tensor &result, bool isAdded = false);

}  // namespace wideband
