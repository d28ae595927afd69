// Matrix products of float32 on the processor. oneDNN's kernels use the widest vectors of every processor; those of at::mm
// do not: on an AMD processor with AVX-512 oneDNN takes less than half the time. Without AVX-512 all are equally fast, and
// at::mm is used.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "Core/Internal.hpp"

namespace wideband {

/// `result` [m,n] = a [m,k] b [k,n], added to what it holds if `isAdded`. Either operand may be a transposed view.
/// Small products, which do not repay the lookup of oneDNN's kernel, and all where it does not run, go through at::mm.
void multiply(const at::Tensor &a, const at::Tensor &b, const at::Tensor &result, bool isAdded = false);

/// x [..., k] times weight [n, k] transposed, by `multiply`: [..., n].
at::Tensor mapped(const at::Tensor &x, const at::Tensor &weight);

/// a [m,k] b [k,n] as a new tensor.
at::Tensor multiplied(const at::Tensor &a, const at::Tensor &b);

/// How many rows a tensor has as a matrix: its last axis, and all others joined.
inline int64_t rowsOf(const at::Tensor &x) { return x.numel() / std::max<int64_t>(x.size(-1), 1); }

inline at::Tensor asRows(const at::Tensor &x) { return x.view({rowsOf(x), x.size(-1)}); }

/// A new tensor in the shape of x [..., in], but with `outputs` as last size.
at::Tensor resultFor(const at::Tensor &x, int64_t outputs);

/// Whether the fused functions take all of the tensors: float32 in the processor's memory, not empty.
template <typename... Tensors>
bool isFusible(const Tensors &...tensors) {
  return ((isFloatOnProcessor(tensors) && tensors.numel() > 0) && ...);
}

}  // namespace wideband
