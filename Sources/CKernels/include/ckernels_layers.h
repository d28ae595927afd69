// The layers of a transformer between its matrix products, forward and backward. Conventions: ckernels.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Root-mean-square normalization: y = x * scale * weight.
typedef struct ck_rms_norm_args {
  int64_t rows, width;  ///< R, d
  const float *x;       ///< [R,d]
  const float *weight;  ///< [d]
  float epsilon;
  float *y;             ///< [R,d]
  float *scale;         ///< [R] = 1 / sqrt(mean(x^2) + epsilon), saved for the backward pass; or null
} ck_rms_norm_args;

bool ck_rms_norm(const ck_rms_norm_args *args, int threads);

typedef struct ck_rms_norm_backward_args {
  int64_t rows, width;      ///< R, d
  const float *x;           ///< [R,d]
  const float *weight;      ///< [d]
  const float *scale;       ///< [R], saved by the forward pass
  const float *y_gradient;  ///< [R,d]
  float *x_gradient;        ///< [R,d]
  float *weight_gradient;   ///< [d], added to; or null
} ck_rms_norm_backward_args;

bool ck_rms_norm_backward(const ck_rms_norm_backward_args *args, int threads);

/// Normalization of each group of d channels: y = (x - mean) * scale * weight + bias.
typedef struct ck_group_norm_args {
  int64_t rows, groups, width;  ///< R, G, d
  const float *x;               ///< [R,G,d]
  const float *weight;          ///< [G,d]
  const float *bias;            ///< [G,d]
  float epsilon;
  float *y;                     ///< [R,G,d]
  float *statistics;            ///< [R,G,2]: mean and scale = 1 / sqrt(variance + epsilon), for the backward pass
} ck_group_norm_args;

bool ck_group_norm(const ck_group_norm_args *args, int threads);

typedef struct ck_group_norm_backward_args {
  int64_t rows, groups, width;  ///< R, G, d
  const float *x;               ///< [R,G,d]
  const float *weight;          ///< [G,d]
  const float *statistics;      ///< [R,G,2], saved by the forward pass
  const float *y_gradient;      ///< [R,G,d]
  float *x_gradient;            ///< [R,G,d]
  float *weight_gradient;       ///< [G,d], added to
  float *bias_gradient;         ///< [G,d], added to
} ck_group_norm_backward_args;

bool ck_group_norm_backward(const ck_group_norm_backward_args *args, int threads);

/// product = silu(gate) * up. Every array is [count].
typedef struct ck_swiglu_args {
  int64_t count;
  const float *gate;
  const float *up;
  float *product;  ///< may be `gate`
} ck_swiglu_args;

bool ck_swiglu(const ck_swiglu_args *args, int threads);

typedef struct ck_swiglu_backward_args {
  int64_t count;
  const float *gate;
  const float *up;
  const float *product_gradient;
  float *product;  ///< computed again; may be `product_gradient`
  float *gate_gradient;
  float *up_gradient;
} ck_swiglu_backward_args;

bool ck_swiglu_backward(const ck_swiglu_backward_args *args, int threads);

/// Root-mean-square normalization of each head, v = x * scale * weight, and its rotation by the angles of its token:
///
///     y_c = v_c cos_c - v_(c+d/2) sin_c,  y_(c+d/2) = v_(c+d/2) cos_(c+d/2) + v_c sin_(c+d/2)     for c < d/2
///
/// Token t has the angles of row t mod `period`.
typedef struct ck_qk_norm_rope_args {
  int64_t tokens, heads, head_size;  ///< N, H, d; d is even
  int64_t period;
  const float *x;       ///< [N,H,d]
  const float *weight;  ///< [d]
  const float *cosine;  ///< [period,d]
  const float *sine;    ///< [period,d]
  float epsilon;
  float *y;             ///< [N,H,d]
  float *scale;         ///< [N,H] = 1 / sqrt(mean(x^2) + epsilon), saved for the backward pass
} ck_qk_norm_rope_args;

bool ck_qk_norm_rope(const ck_qk_norm_rope_args *args, int threads);

typedef struct ck_qk_norm_rope_backward_args {
  int64_t tokens, heads, head_size;  ///< N, H, d
  int64_t period;
  const float *x;           ///< [N,H,d]
  const float *weight;      ///< [d]
  const float *cosine;      ///< [period,d]
  const float *sine;        ///< [period,d]
  const float *scale;       ///< [N,H], saved by the forward pass
  const float *y_gradient;  ///< [N,H,d]
  float *x_gradient;        ///< [N,H,d]
  float *weight_gradient;   ///< [d], added to
} ck_qk_norm_rope_backward_args;

bool ck_qk_norm_rope_backward(const ck_qk_norm_rope_backward_args *args, int threads);

/// The layout of keys and values [B,S,K,d]: S, and the distances in floats between neighbors in S, K and B. The channels
/// of a head are contiguous.
typedef struct ck_key_layout {
  int64_t length, position, head, row;
} ck_key_layout;

/// Causal attention: output = softmax(scale query key^T) value, where query t sees the keys up to S - T + t. A key head
/// serves H/K query heads.
typedef struct ck_causal_attention_args {
  int64_t batch, length;           ///< B, T
  int64_t heads, key_value_heads;  ///< H, K
  int64_t head_size;               ///< d
  float scale;
  const float *query;              ///< [B,T,H,d]
  const float *key;                ///< [B,S,K,d] in `layout`
  const float *value;              ///< [B,S,K,d] in `layout`
  ck_key_layout layout;
  float *output;                   ///< [B,T,H,d]
  float *log_sum_exp;              ///< [B,H,T], logarithms of the softmax's sums, saved for the backward pass
} ck_causal_attention_args;

bool ck_causal_attention(const ck_causal_attention_args *args, int threads);

typedef struct ck_causal_attention_backward_args {
  ck_causal_attention_args forward;  ///< as of the forward pass, its results included; S = T, and [B,T,K,d] contiguous
  const float *output_gradient;      ///< [B,T,H,d]
  float *query_gradient;             ///< [B,T,H,d]
  float *key_gradient;               ///< [B,T,K,d]
  float *value_gradient;             ///< [B,T,K,d]
} ck_causal_attention_backward_args;

bool ck_causal_attention_backward(const ck_causal_attention_backward_args *args, int threads);

/// losses = -log softmax(logits)[target]. False, and nothing written, for a target of V or more.
typedef struct ck_cross_entropy_args {
  int64_t rows, width;     ///< R, V
  float *logits;           ///< [R,V]
  const int64_t *targets;  ///< [R]; a row whose target is negative has the loss zero and no gradient
  float *losses;           ///< [R]
  bool leaves_gradient;    ///< whether the logits are replaced by the gradient of `scale` times the sum of the losses
  float scale;
} ck_cross_entropy_args;

bool ck_cross_entropy(const ck_cross_entropy_args *args, int threads);

// Mixture of experts. Each of N tokens is routed to k experts: routed token t k + i is token t for its i-th expert. The
// tokens of an expert are consecutive rows of a buffer [R,d] of all experts.

/// rows: each row of the buffer is its routed token, times the routed token's scale.
typedef struct ck_expert_dispatch_args {
  int64_t rows, per_token, width;  ///< R, k, d
  const int64_t *routed_tokens;    ///< [R], of each row; a row where it is negative becomes zero
  const float *scales;             ///< [N,k], or null for one
  const float *x;                  ///< [N,d]
  float *expert_rows;              ///< [R,d]
} ck_expert_dispatch_args;

bool ck_expert_dispatch(const ck_expert_dispatch_args *args, int threads);

/// sums: for each token the sum of its k rows of the buffer, times their scales.
typedef struct ck_expert_combine_args {
  int64_t tokens, per_token, width;  ///< N, k, d
  const int64_t *row_indices;        ///< [N,k], the row of each routed token
  const float *scales;               ///< [N,k], or null for one
  const float *expert_rows;          ///< [R,d]
  float *sums;                       ///< [N,d]
} ck_expert_combine_args;

bool ck_expert_combine(const ck_expert_combine_args *args, int threads);

/// products: of each token with each of its rows of the buffer.
typedef struct ck_expert_row_products_args {
  int64_t tokens, per_token, width;  ///< N, k, d
  const int64_t *row_indices;        ///< [N,k], the row of each routed token
  const float *x;                    ///< [N,d]
  const float *expert_rows;          ///< [R,d]
  float *products;                   ///< [N,k]
} ck_expert_row_products_args;

bool ck_expert_row_products(const ck_expert_row_products_args *args, int threads);

#ifdef __cplusplus
}
#endif
