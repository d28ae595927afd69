// Products and sublayers of a few rows on a CUDA GPU; without a derivative, like those of the processor.
#pragma once

#include <ATen/core/Tensor.h>

#include "ckernels_decoding.h"
#include "Core/Internal.hpp"

namespace wideband {

/// x [..., in] times a weight [out, in] transposed, read once from the GPU's memory; undefined where there is no kernel.
at::Tensor skinnyGEMMOnGPU(const at::Tensor &x, const wb_matrix &weight);

/// Whether the kernels can read an attention sublayer's weights in place, all on the norm's GPU.
bool isAttentionOnGPU(const wb_attention_layer &layer);

/// `wb_attention_sublayer_is_supported` and `wb_attention_sublayer` for x on a GPU and such weights.
bool isAttentionSublayerOnGPU(const at::Tensor &x, const at::Tensor &norm, const ck_attention_layer &layer);
at::Tensor attentionSublayerOnGPU(
    const at::Tensor &x, const ck_attention_layer &layer, const wb_kv_view *sequences, int64_t count,
    const at::Tensor &cosine, const at::Tensor &sine, const at::Tensor &starts, bool addsInput);

/// Whether the kernels can read a feed-forward sublayer's weights in place, all on the norm's GPU.
bool isFeedForwardOnGPU(const wb_feed_forward_layer &layer);

/// `wb_feed_forward_sublayer_is_supported` and `wb_feed_forward_sublayer` for x on a GPU and such weights.
bool isFeedForwardSublayerOnGPU(const at::Tensor &x, const at::Tensor &norm, const ck_feed_forward_layer &layer);
at::Tensor feedForwardSublayerOnGPU(const at::Tensor &x, const ck_feed_forward_layer &layer, bool addsInput);

}  // namespace wideband
