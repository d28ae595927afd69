// Matrix products of float32 on the processor. oneDNN's kernels use the processor's widest vectors whoever made it,
// which the ones behind at::mm do not: on an AMD processor with AVX-512 they take less than half the time. Without
// AVX-512 all are equally fast, and at::mm it is.
#pragma once

#include <ATen/core/Tensor.h>

#include "Internal.h"

namespace wideband {

/// `result` [m,n] = a [m,k] b [k,n], added to what it holds if `isAdded`. Either operand may be a transposed view.
/// Products too small to pay for finding oneDNN's kernel, and all where it does not run, go through at::mm.
void multiply(const at::Tensor &a, const at::Tensor &b, const at::Tensor &result, bool isAdded = false);

/// x [..., k] times weight [n, k] transposed, as multiply does it: [..., n].
at::Tensor mapped(const at::Tensor &x, const at::Tensor &weight);

/// A tensor's last axis kept, all others made one.
inline at::Tensor asRows(const at::Tensor &x) { return x.view({x.numel() / x.size(-1), x.size(-1)}); }

/// Whether the fused functions take a tensor: float32 in the processor's memory, not empty.
inline bool isFusible(const at::Tensor &x) { return isFloatOnProcessor(x) && x.numel() > 0; }

}  // namespace wideband
