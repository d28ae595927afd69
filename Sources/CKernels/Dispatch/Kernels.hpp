// The kernels that every vector code has. Their source is compiled once for each code.
#pragma once

#include <cstdint>

#include "ckernels.h"

/// Each kernel: its name in the namespace of a vector code, its C function, and the type of its arguments.
// clang-format off
#define CK_KERNELS(kernel) \
  kernel(connectionForward, ck_connection_forward, ck_connection_forward_args) \
  kernel(connectionBackward, ck_connection_backward, ck_connection_backward_args) \
  kernel(rmsNorm, ck_rms_norm, ck_rms_norm_args) \
  kernel(rmsNormBackward, ck_rms_norm_backward, ck_rms_norm_backward_args) \
  kernel(groupNorm, ck_group_norm, ck_group_norm_args) \
  kernel(groupNormBackward, ck_group_norm_backward, ck_group_norm_backward_args) \
  kernel(swiglu, ck_swiglu, ck_swiglu_args) \
  kernel(swigluBackward, ck_swiglu_backward, ck_swiglu_backward_args) \
  kernel(qkNormRoPE, ck_qk_norm_rope, ck_qk_norm_rope_args) \
  kernel(qkNormRoPEBackward, ck_qk_norm_rope_backward, ck_qk_norm_rope_backward_args) \
  kernel(causalAttention, ck_causal_attention, ck_causal_attention_args) \
  kernel(causalAttentionBackward, ck_causal_attention_backward, ck_causal_attention_backward_args) \
  kernel(crossEntropy, ck_cross_entropy, ck_cross_entropy_args) \
  kernel(expertDispatch, ck_expert_dispatch, ck_expert_dispatch_args) \
  kernel(expertCombine, ck_expert_combine, ck_expert_combine_args) \
  kernel(expertRowProducts, ck_expert_row_products, ck_expert_row_products_args) \
  kernel(adamW, ck_adamw, ck_adamw_args) \
  kernel(gradientNorm, ck_gradient_norm, ck_gradient_norm_args) \
  kernel(quantize, ck_quantize, ck_quantize_args) \
  kernel(dequantize, ck_dequantize, ck_dequantize_args) \
  kernel(skinnyGEMM, ck_skinny_gemm, ck_gemm_args) \
  kernel(gemm, ck_gemm, ck_gemm_args) \
  kernel(attentionSublayer, ck_attention_sublayer, ck_attention_sublayer_args) \
  kernel(feedForwardSublayer, ck_feed_forward_sublayer, ck_feed_forward_sublayer_args) \
  kernel(argmax, ck_argmax, ck_argmax_args) \
  kernel(sample, ck_sample, ck_sample_args)
// clang-format on

namespace ckernels {

/// The table of a vector code. Its functions are called with arguments that were checked and are not empty; they return
/// false where scratch memory cannot be allocated.
struct VectorCode {
  const char *name;
  bool hasDotProducts;  ///< whether the processor adds four products of bytes in one instruction
  int64_t (*projectionCount)(const ck_connection &connection, int64_t tokens);
#define CK_POINTER(kernel, function, Args) bool (*kernel)(const Args &args, int threads);
  CK_KERNELS(CK_POINTER)
#undef CK_POINTER
};

/// The functions of the namespace CK_CODE, in the order of `VectorCode`.
#define CK_TABLE_ENTRY(kernel, function, Args) CK_CODE::kernel,
#define CK_TABLE CK_CODE::projectionCount, CK_KERNELS(CK_TABLE_ENTRY)

/// The vector code in use.
const VectorCode &code();

#if defined(__x86_64__)
extern const VectorCode avx512VNNICode;
extern const VectorCode avx512Code;
extern const VectorCode avx2Code;
#endif
extern const VectorCode portableCode;

}  // namespace ckernels
