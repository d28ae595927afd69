// Layers of a transformer as functions with a derivative of their own. Conventions: ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctorch_tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A linear map's weight [out, in]: floating-point values without scales; or int8 values, or int4 packed into int32, with
/// bfloat16 scales, in the formats of ckernels_decoding.h.
typedef struct wb_matrix {
  const wb_tensor *values;
  const wb_tensor *scales;
  int64_t inputs;
} wb_matrix;

/// Quantizes a floating-point weight [out, in], on its device.
bool wb_quantize(const wb_tensor *weight, bool is_int4, wb_tensor **values, wb_tensor **scales);

/// The weight [out, in] in float32 for a quantized one; a floating-point one unchanged.
wb_tensor *wb_dequantize(wb_matrix matrix);

/// The rows [..., in] of a quantized weight at integer indices [...], in float32.
wb_tensor *wb_index_select(wb_matrix matrix, const wb_tensor *indices);

/// x [..., in] times weight [out, in] transposed, in x's type. float32 in the processor's memory goes through products
/// that use its widest vectors; at most `wb_maximum_skinny_rows` rows without a derivative, there and on a CUDA GPU, through
/// a kernel that reads the weight once. Quantized weights become floats some rows at a time.
wb_tensor *wb_linear(const wb_tensor *x, wb_matrix weight);

/// Whether wb_adapted_linear applies: x and the adapter float32 in the processor's memory, the weight there too and without a
/// gradient, and a derivative to compute.
bool wb_is_adapted_product(const wb_tensor *x, wb_matrix weight, const wb_tensor *down, const wb_tensor *up);

/// x weight^T + scale (x down^T) up^T with a LoRA adapter, down [r, in] and up [out, r], of which only the adapter is trained.
wb_tensor *wb_adapted_linear(
    const wb_tensor *x, wb_matrix weight, const wb_tensor *down, const wb_tensor *up, double scale);

/// x [..., d] scaled to unit root-mean-square over the last axis, times weight [d]; computed in float32.
wb_tensor *wb_rms_norm(const wb_tensor *x, const wb_tensor *weight, double epsilon);

/// Whether the functions for fusible tensors take a tensor: float32 in the processor's memory, not empty.
bool wb_is_fusible(const wb_tensor *tensor);

/// Whether wb_swiglu takes them: x fusible, and either all weights fusible or, without a derivative, in the processor's
/// memory in any format.
bool wb_swiglu_is_supported(const wb_tensor *x, wb_matrix gate, wb_matrix up, wb_matrix down);

/// down (silu(gate x) * up x) for x [..., D], gate and up [F, D], down [D', F].
wb_tensor *wb_swiglu(const wb_tensor *x, wb_matrix gate, wb_matrix up, wb_matrix down);

/// The sum over k of weights [N, k] times the output of the chosen expert [N, k], int64, for x [N, D]. An expert is a SwiGLU
/// with three consecutive weights of `matrices`: gate and up [F, D] and down [D, F]. x, weights and matrices are fusible.
wb_tensor *wb_mixture_of_experts(
    const wb_tensor *x, const wb_tensor *weights, const wb_tensor *chosen, const wb_tensor *const *matrices,
    int experts);

/// cosine and sine [1, T, 1, hd] in float32 of the rotary angles of int64 positions [T] in the processor's memory: channels c
/// and c + hd/2 rotate by position theta^(-2c/hd). Angles are computed in double. To be released by the caller.
bool wb_rotary_tables(const wb_tensor *positions, int64_t head_size, double theta, wb_tensor **cosine, wb_tensor **sine);

/// x [B, T, H, hd] scaled to unit root-mean-square over the last axis, times weight [hd], rotated by the angles whose
/// cosine and sine [1 or B, T, 1, hd] are given; for fusible tensors.
wb_tensor *wb_qk_norm_rope(
    const wb_tensor *x, const wb_tensor *weight, const wb_tensor *cosine, const wb_tensor *sine, double epsilon);

/// softmax(query key^T / sqrt d) value [B, T, H, d] for queries [B, T, H, d], of which query t sees the keys up to
/// S - T + t, and keys and values [B, S, K, d] with K dividing H; for fusible tensors. A derivative only where S = T.
wb_tensor *wb_causal_attention(const wb_tensor *query, const wb_tensor *key, const wb_tensor *value);

/// Whether wb_cross_entropy takes a head: fusible, or of 16 bits and without a gradient.
bool wb_is_readable_head(const wb_tensor *head);

/// The mean of -log softmax(head x)[target] over the rows of x [..., D] whose int64 target is not negative, for a head
/// [V, D]; for fusible x and readable heads.
wb_tensor *wb_cross_entropy(const wb_tensor *x, const wb_tensor *head, const wb_tensor *targets);

/// x [..., G d] with each of its `groups` groups of d channels scaled to zero mean and unit variance, times weight [G d]
/// plus bias [G d]; computed in float32.
wb_tensor *wb_group_norm(
    const wb_tensor *x, int64_t groups, const wb_tensor *weight, const wb_tensor *bias, double epsilon);

#ifdef __cplusplus
}
#endif
