// Matrix products of float32 on the processor. oneDNN's kernels use the widest vectors of every processor; those of at::mm
// do not: on an AMD processor with AVX-512 oneDNN takes less than half the time. Without AVX-512 all are equally fast, and
// at::mm is used.
#pragma once

#include <ATen/core/Tensor.h>

#include "Core/Internal.h"

namespace wideband {

/// `result` [m,n] = a [m,k] b [k,n], added to what it holds if `isAdded`. Either operand may be a transposed view.
/// Small products, which do not repay the lookup of oneDNN's kernel, and all where it does not run, go through at::mm.
void multiply(const at::Tensor &a, const at::Tensor &b, const at::Tensor &result, bool isAdded = false);

/// x [..., k] times weight [n, k] transposed, by `multiply`: [..., n].
at::Tensor mapped(const at::Tensor &x, const at::Tensor &weight);

/// A tensor as a matrix: its last axis, and all others joined.
inline at::Tensor asRows(const at::Tensor &x) { return x.view({x.numel() / x.size(-1), x.size(-1)}); }

/// Whether the fused functions take a tensor: float32 in the processor's memory, not empty.
inline bool isFusible(const at::Tensor &x) { return isFloatOnProcessor(x) && x.numel() > 0; }

}  // namespace wideband
