// The GPU's kernels compiled for the processor from their own source. Every thread of a block is a fiber, and ordinary code
// replaces the instructions in Device.cuh. This is slow and made for small sizes: it tests without a GPU that a kernel's
// results are right.
#ifndef WIDEBAND_CUDA_EMULATION_H
#define WIDEBAND_CUDA_EMULATION_H

#include <stdbool.h>
#include <stdint.h>

#include "ckernels.h"
#include "ckernels_decoding.h"

#ifdef __cplusplus
extern "C" {
#endif

/// One program: the kernels of one kind of connection, and how they divide their work.
typedef struct cuda_emulation {
  int64_t fraction_rate, slots, slot_width;
  int element_bytes;  ///< 2 for bfloat16, 4 for float32
  bool is_dynamic;
  bool uses_tensor_cores;
  bool keeps_sums;  ///< whether sums of gradients are in shared memory
  bool keeps_maps_in_registers;
  int forward_stages, backward_stages;
} cuda_emulation;

int cuda_emulation_count(void);
cuda_emulation cuda_emulation_describe(int program);

/// The fields of `ck_connection_forward_args`, and the number of thread blocks. A null `writer` is a read alone, a null
/// `reader` a write alone. States hold the program's elements. False if a kernel wrote beyond its shared memory.
bool cuda_emulation_forward(
    int program, const ck_connection *writer, const ck_connection *reader, int64_t tokens, const void *state,
    const void *output, void *next_state, void *saved_write, void *input, int blocks);

/// The fields of `ck_connection_backward_args`. A null `connection` is the backward pass of a write alone, a null
/// `previous_saved_write` that of a connection alone.
bool cuda_emulation_backward(
    int program, const ck_connection *connection, int64_t tokens, const void *state, const void *output,
    const void *input_gradient, const void *next_state_gradient, const void *previous_saved_write, void *state_gradient,
    void *previous_output_gradient, const ck_connection_gradients *gradients, int blocks);

int cuda_emulation_norm_count(void);
int64_t cuda_emulation_norm_width(int program);
int cuda_emulation_norm_element_bytes(int program);

/// The arguments of `ck_rms_norm` and of `ck_rms_norm_backward`. False if a kernel wrote beyond its shared memory.
void cuda_emulation_norm(
    int program, int64_t rows, const void *x, const float *weight, float epsilon, void *y, float *scale, int blocks);
bool cuda_emulation_norm_backward(
    int program, int64_t rows, const void *x, const float *weight, const float *scale, const void *y_gradient,
    void *x_gradient, float *weight_gradient, int blocks);

/// Products of up to `rows` rows of elements with weights of one format.
typedef struct cuda_emulation_product_kind {
  ck_weight_format format;
  int element_bytes;
  int rows;
} cuda_emulation_product_kind;

int cuda_emulation_product_count(void);
cuda_emulation_product_kind cuda_emulation_product_describe(int program);

/// Of one matrix the product y, plus the residual unless that is null; of two silu(first x) * (second x); of three the
/// concatenated products in float32. x is normalized first if there is a gain. Runs on `blocks` blocks with `shared_bytes` of
/// shared memory. False if a kernel wrote beyond that, or did not set the next kernel's counter to zero.
bool cuda_emulation_product(
    int program, const ck_matrix *matrices, int count, int64_t rows, const void *x, const float *gain, float epsilon,
    const void *residual, void *y, int shared_bytes, int blocks);

/// Attention over a cache of one format with heads of one size, `queries` to a block.
typedef struct cuda_emulation_attention_kind {
  int head_size;
  ck_weight_format format;
  int element_bytes;
  int queries;
} cuda_emulation_attention_kind;

int cuda_emulation_attention_count(void);
cuda_emulation_attention_kind cuda_emulation_attention_describe(int program);

/// The output of attention for `projected` [R, H + 2 K, hd]: `attentionOutput` [R, H, hd] in the program's elements. New keys and values
/// are stored in `sequences`. Sizes, norms of heads and epsilon of the layer are used. False if the kernel wrote beyond its
/// shared memory.
bool cuda_emulation_attention(
    int program, const ck_attention_layer *layer, const ck_kv_view *sequences, int count, const int64_t *starts,
    const float *projected, const float *cosine, const float *sine, int splits, void *attentionOutput);

#ifdef __cplusplus
}
#endif
#endif
