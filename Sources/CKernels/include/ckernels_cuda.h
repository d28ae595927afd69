// The kernels of ckernels.h and ckernels_decoding.h on NVIDIA GPUs of compute capability 8.0 and later. They are kept
// as source text and compiled at run time, once in a process for each kind of connection (m, n, C, dtype, static or
// dynamic) or width of a norm and each GPU; compiler (NVRTC) and driver are loaded when they are first needed.
//
// Arrays lie in the GPU's memory and begin at multiples of 16 bytes. State, output, beta and their gradients are float32
// or bfloat16 as the target says; parameters and their gradients are float32. Coefficients are computed, and all sums
// taken, in float32; operands of the tensor cores, coefficients among them, are bfloat16. Gradients of parameters are
// summed block by block in a fixed order: a result depends on the GPU's number of multiprocessors but never on timing.
//
// Every function that returns bool returns false where it fails, and `ck_cuda_error` says why.
#ifndef WIDEBAND_CKERNELS_CUDA_H
#define WIDEBAND_CKERNELS_CUDA_H

#include <stdbool.h>
#include <stdint.h>

#include "ckernels.h"
#include "ckernels_decoding.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ck_cuda_element { CK_CUDA_FLOAT32 = 4, CK_CUDA_BFLOAT16 = 2 } ck_cuda_element;

/// Where a kernel runs and on what.
typedef struct ck_cuda_target {
  int device;               ///< the GPU's number
  void *stream;             ///< a CUstream
  ck_cuda_element element;  ///< of the state
  float *scratch;           ///< floats for the backward pass, as many as its `…_scratch_count` says
} ck_cuda_target;

/// Why the last call on this thread failed.
const char *ck_cuda_error(void);

/// Whether there are kernels for such a connection on the target's device; compiles them the first time.
bool ck_cuda_connection_is_supported(const ck_connection *connection, const ck_cuda_target *target);

/// Floats of scratch memory that a connection's backward pass needs on the target's device; 0 if that fails.
int64_t ck_cuda_scratch_count(const ck_connection *connection, int64_t tokens, const ck_cuda_target *target);

bool ck_cuda_connection_read(
    const ck_connection *connection, int64_t tokens, const void *state, void *input, const ck_cuda_target *target);

bool ck_cuda_connection_write(
    const ck_connection *connection, int64_t tokens, const void *state, const void *output, void *next_state,
    void *beta, const ck_cuda_target *target);

bool ck_cuda_connection_write_read(
    const ck_connection *connection, const ck_connection *next, int64_t tokens, const void *state, const void *output,
    void *next_state, void *beta, void *next_input, const ck_cuda_target *target);

/// Unlike the processor's, this needs the `beta` that the write saved.
bool ck_cuda_connection_write_backward(
    const ck_connection *connection, int64_t tokens, const void *beta, const void *next_state_gradient,
    void *output_gradient, const ck_cuda_target *target);

bool ck_cuda_connection_backward(
    const ck_connection *connection, int64_t tokens, const void *state, const void *output, const void *input_gradient,
    const void *next_state_gradient, void *state_gradient, const ck_connection_gradients *gradients,
    const ck_cuda_target *target);

/// Unlike the processor's, this needs the `previous_beta` that the previous write saved.
bool ck_cuda_connection_backward_write_backward(
    const ck_connection *connection, int64_t tokens, const void *state, const void *output, const void *input_gradient,
    const void *next_state_gradient, const void *previous_beta, void *state_gradient, void *previous_output_gradient,
    const ck_connection_gradients *gradients, const ck_cuda_target *target);

/// Whether there are kernels for norms of this width on the target's device; compiles them the first time.
bool ck_cuda_rms_norm_is_supported(int64_t width, const ck_cuda_target *target);

/// Floats of scratch memory that a norm's backward pass needs; 0 if that fails.
int64_t ck_cuda_rms_norm_scratch_count(int64_t rows, int64_t width, const ck_cuda_target *target);

bool ck_cuda_rms_norm(
    int64_t rows, int64_t width, const void *x, const float *weight, float epsilon, void *y, float *scale,
    const ck_cuda_target *target);

bool ck_cuda_rms_norm_backward(
    int64_t rows, int64_t width, const void *x, const float *weight, const float *scale, const void *y_gradient,
    void *x_gradient, float *weight_gradient, const ck_cuda_target *target);

// Decoding: products and sublayers of 1 to 16 rows, as in ckernels_decoding.h. x, y and what is between sublayers hold
// the target's elements, norms and angles are float32, weights and caches lie in any of their forms. With elements of
// bfloat16 the products run on tensor cores, for which floats of a weight are rounded to bfloat16; whole numbers are
// exact.

/// Whether there are kernels for such a product on the target's device; compiles them the first time.
bool ck_cuda_narrow_product_is_supported(int64_t rows, const ck_matrix *weight, const ck_cuda_target *target);

bool ck_cuda_narrow_product(
    int64_t rows, const void *x, const ck_matrix *weight, void *y, const ck_cuda_target *target);

/// Whether there are kernels for the step of such an attention sublayer, over a cache of any form: at most 16 new positions.
/// Compiles products the first time; attention itself is compiled for the form that is met.
bool ck_cuda_attention_step_is_supported(
    const ck_attention_layer *layer, int64_t rows, const ck_cuda_target *target);

/// Bytes of workspace that such a step needs; -1 if it fails. Of `texts` no pointer is looked at.
int64_t ck_cuda_attention_step_workspace(
    const ck_attention_layer *layer, const ck_memory *texts, int64_t count, const ck_cuda_target *target);

/// `ck_attention_step` in three kernels. Unless `starts` is null, the new positions of text i begin `starts[i]` behind its
/// `start`; those numbers lie in the GPU's memory and are read when the kernels run.
bool ck_cuda_attention_step(
    const ck_attention_layer *layer, const ck_memory *texts, int64_t count, const int64_t *starts, const void *x,
    const float *cosine, const float *sine, bool adds_input, void *y, void *workspace, const ck_cuda_target *target);

/// Bytes of workspace for a feed-forward sublayer without a router; -1 where it has no kernels.
int64_t ck_cuda_feed_forward_step_workspace(
    const ck_feed_forward_layer *layer, int64_t rows, const ck_cuda_target *target);

/// `ck_feed_forward_step` in two kernels.
bool ck_cuda_feed_forward_step(
    const ck_feed_forward_layer *layer, int64_t rows, const void *x, bool adds_input, void *y, void *workspace,
    const ck_cuda_target *target);

/// A kernel as it was compiled.
typedef struct ck_cuda_kernel {
  const char *name;  ///< lives forever
  int threads;       ///< in a block
  int shared_bytes;  ///< of shared memory that a block asks for when it is launched
} ck_cuda_kernel;

/// Compiles the kernels for such connections without a GPU, for compute capability `architecture` / 10 (80, 90) with
/// `shared_bytes` of shared memory a block. Gives the compiler's report, which lives until the thread's next call, and up
/// to 8 kernels; null if it fails.
const char *ck_cuda_compile(
    const ck_connection *connection, ck_cuda_element element, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count);

/// The same for norms of this width.
const char *ck_cuda_compile_norm(
    int64_t width, ck_cuda_element element, int architecture, int shared_bytes, ck_cuda_kernel kernels[8], int *count);

/// The same for products of up to `rows` rows with a weight; `shared_bytes` of a kernel is the least it can do with.
const char *ck_cuda_compile_product(
    ck_form form, ck_cuda_element element, int rows, int architecture, int shared_bytes, ck_cuda_kernel kernels[8],
    int *count);

/// The same for attention over a cache of this form, with `queries` queries to a head of keys.
const char *ck_cuda_compile_attention(
    int64_t head_size, ck_form form, ck_cuda_element element, int queries, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count);

#ifdef __cplusplus
}
#endif
#endif
