// Products and sublayers of a few rows on a CUDA GPU; without a derivative, like those of the processor.
#pragma once

#include <ATen/core/Tensor.h>

#include "Internal.h"
#include "ckernels_decoding.h"

namespace wideband {

/// x [..., in] times a weight [out, in] transposed, read once from the GPU's memory; undefined where there is no kernel.
at::Tensor narrowProductOnGPU(const at::Tensor &x, const wb_matrix &weight);

/// Whether the kernels can read an attention sublayer's weights where they lie, all on the norm's GPU.
bool isAttentionOnGPU(const wb_attention_layer &layer);

/// `wb_attention_step_is_supported` and `wb_attention_step` for x on a GPU and such weights.
bool isAttentionStepOnGPU(const at::Tensor &x, const at::Tensor &norm, const ck_attention_layer &layer);
at::Tensor attentionStepOnGPU(
    const at::Tensor &x, const ck_attention_layer &layer, const wb_memory *texts, int64_t count, const at::Tensor &cosine,
    const at::Tensor &sine, const at::Tensor &starts, bool addsInput);

/// Whether the kernels can read a feed-forward sublayer's weights where they lie, all on the norm's GPU.
bool isFeedForwardOnGPU(const wb_feed_forward_layer &layer);

/// `wb_feed_forward_step_is_supported` and `wb_feed_forward_step` for x on a GPU and such weights.
bool isFeedForwardStepOnGPU(const at::Tensor &x, const at::Tensor &norm, const ck_feed_forward_layer &layer);
at::Tensor feedForwardStepOnGPU(const at::Tensor &x, const ck_feed_forward_layer &layer, bool addsInput);

}  // namespace wideband
