// KV views of sequences as the kernels of decoding take them, on the processor and on GPUs.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "ckernels_decoding.h"
#include "Core/Internal.hpp"

namespace wideband {

/// The KV caches [1, K, capacity, hd] of `count` sequences as the kernels take them. Throws where a capacity is too small,
/// and unless x [..., D] and the rotary angles have a row for each new position.
std::vector<ck_kv_view> kvViewsOf(
    const wb_kv_view *sequences, int64_t count, const at::Tensor &x, int64_t headSize, const at::Tensor &cosines,
    const at::Tensor &sines);

}  // namespace wideband
