// The kernels of ckernels.h on NVIDIA GPUs of compute capability 8.0 and later. They are kept as source text and compiled at
// run time. A process compiles them once for each GPU and each kind of connection (m, n, C, dtype, static or dynamic), width
// of a norm, product, or attention. The compiler (NVRTC) and the driver are loaded on first use.
//
// As on the processor, a kernel takes its arguments as one struct. Arrays are in the GPU's memory and begin at multiples of 16
// bytes. Arrays of `void` have the elements of the target, float32 or bfloat16; parameters and their gradients are float32.
// Coefficients and all sums are computed in float32. Operands of the tensor cores are bfloat16, also the coefficients.
// Gradients of parameters are summed block by block in a fixed order: a result depends on the GPU's number of
// multiprocessors but never on timing.
//
// A function that returns bool returns false if it fails; `ck_cuda_error` has the reason.
#ifndef WIDEBAND_CKERNELS_CUDA_H
#define WIDEBAND_CKERNELS_CUDA_H

#include <stdbool.h>
#include <stdint.h>

#include "ckernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ck_cuda_element { CK_CUDA_FLOAT32 = 4, CK_CUDA_BFLOAT16 = 2 } ck_cuda_element;

/// Where a kernel runs, and on which elements.
typedef struct ck_cuda_target {
  int device;               ///< the GPU's number
  void *stream;             ///< a CUstream
  ck_cuda_element element;  ///< of states and activations
  float *scratch;           ///< floats for the backward pass, as many as its `…_scratch_count` says
} ck_cuda_target;

/// Why the last call on this thread failed.
const char *ck_cuda_error(void);

/// Whether there are kernels for such a connection on the target's device; compiles them the first time.
bool ck_cuda_connection_is_supported(const ck_connection *connection, const ck_cuda_target *target);

/// Floats of scratch memory that a connection's backward pass needs on the target's device; 0 if that fails.
int64_t ck_cuda_scratch_count(const ck_connection *connection, int64_t tokens, const ck_cuda_target *target);

/// The fields of `ck_connection_forward_args`.
typedef struct ck_cuda_connection_forward_args {
  const ck_connection *writer, *reader;
  int64_t tokens;
  const void *state, *output;
  void *next_state, *saved_write, *input;
} ck_cuda_connection_forward_args;

bool ck_cuda_connection_forward(const ck_cuda_connection_forward_args *args, const ck_cuda_target *target);

/// The fields of `ck_connection_backward_args`.
typedef struct ck_cuda_connection_backward_args {
  const ck_connection *connection, *writer;
  int64_t tokens;
  const void *state, *output, *input_gradient, *next_state_gradient;
  void *state_gradient;
  const ck_connection_gradients *gradients;
  const void *saved_write;
  void *writer_output_gradient;
} ck_cuda_connection_backward_args;

bool ck_cuda_connection_backward(const ck_cuda_connection_backward_args *args, const ck_cuda_target *target);

/// Whether there are kernels for norms of this width on the target's device; compiles them the first time.
bool ck_cuda_rms_norm_is_supported(int64_t width, const ck_cuda_target *target);

/// Floats of scratch memory that a norm's backward pass needs; 0 if that fails.
int64_t ck_cuda_rms_norm_scratch_count(int64_t rows, int64_t width, const ck_cuda_target *target);

/// The fields of `ck_rms_norm_args`.
typedef struct ck_cuda_rms_norm_args {
  int64_t rows, width;
  const void *x;
  const float *weight;
  float epsilon;
  void *y;
  float *scale;
} ck_cuda_rms_norm_args;

bool ck_cuda_rms_norm(const ck_cuda_rms_norm_args *args, const ck_cuda_target *target);

/// The fields of `ck_rms_norm_backward_args`.
typedef struct ck_cuda_rms_norm_backward_args {
  int64_t rows, width;
  const void *x;
  const float *weight, *scale;
  const void *y_gradient;
  void *x_gradient;
  float *weight_gradient;
} ck_cuda_rms_norm_backward_args;

bool ck_cuda_rms_norm_backward(const ck_cuda_rms_norm_backward_args *args, const ck_cuda_target *target);

// Decoding: products and sublayers of at most `ck_maximum_skinny_rows` rows. x, y and activations between sublayers have the
// target's elements. Norms and angles are float32. Weights and caches have any of their formats. With bfloat16 elements the
// products run on tensor cores: a float32 weight is rounded to bfloat16, quantized integers are exact.

/// Whether there are kernels for such a product on the target's device; compiles them the first time.
bool ck_cuda_skinny_gemm_is_supported(int64_t rows, const ck_matrix *weight, const ck_cuda_target *target);

/// The fields of `ck_gemm_args`.
typedef struct ck_cuda_gemm_args {
  int64_t rows;
  const void *x;
  const ck_matrix *weight;
  void *y;
} ck_cuda_gemm_args;

bool ck_cuda_skinny_gemm(const ck_cuda_gemm_args *args, const ck_cuda_target *target);

/// Whether there are kernels for such an attention sublayer with `rows` new positions and a cache of any format. The first
/// call compiles the products; attention is compiled on the first use of a cache's format.
bool ck_cuda_attention_sublayer_is_supported(
    const ck_attention_layer *layer, int64_t rows, const ck_cuda_target *target);

/// The workspace of an attention sublayer in bytes; -1 if there are no kernels for it. The pointers in `sequences` are not
/// used.
int64_t ck_cuda_attention_sublayer_workspace(
    const ck_attention_layer *layer, const ck_kv_view *sequences, int64_t count, const ck_cuda_target *target);

/// The fields of `ck_attention_sublayer_args`, `starts` and a workspace.
typedef struct ck_cuda_attention_sublayer_args {
  const ck_attention_layer *layer;
  const ck_kv_view *sequences;
  int64_t count;
  const int64_t *starts;  ///< [count] in the GPU's memory, added to the `start` of each sequence; or null
  const void *x;
  const float *cosine, *sine;
  bool adds_input;
  void *y;
  void *workspace;
} ck_cuda_attention_sublayer_args;

/// Launches three kernels: projections, attention, and the product with the output's weight.
bool ck_cuda_attention_sublayer(const ck_cuda_attention_sublayer_args *args, const ck_cuda_target *target);

/// The workspace of a feed-forward sublayer without a router in bytes; -1 if there are no kernels for it.
int64_t ck_cuda_feed_forward_sublayer_workspace(
    const ck_feed_forward_layer *layer, int64_t rows, const ck_cuda_target *target);

/// The fields of `ck_feed_forward_sublayer_args`, and a workspace.
typedef struct ck_cuda_feed_forward_sublayer_args {
  const ck_feed_forward_layer *layer;
  int64_t rows;
  const void *x;
  bool adds_input;
  void *y;
  void *workspace;
} ck_cuda_feed_forward_sublayer_args;

/// Launches two kernels: gates, and the product with the weight `down`.
bool ck_cuda_feed_forward_sublayer(const ck_cuda_feed_forward_sublayer_args *args, const ck_cuda_target *target);

/// A kernel as it was compiled.
typedef struct ck_cuda_kernel {
  const char *name;  ///< a literal
  int threads;       ///< of a block
  int shared_bytes;  ///< of dynamic shared memory, with which a block is launched
} ck_cuda_kernel;

/// Compiles the kernels for such connections without a GPU, for compute capability `architecture` / 10 (80, 90) and blocks
/// with at most `shared_bytes` of shared memory. Fills `kernels` and returns the compiler's report, which is valid until the
/// thread's next call; null if it fails.
const char *ck_cuda_compile(
    const ck_connection *connection, ck_cuda_element element, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count);

/// The same for norms of this width.
const char *ck_cuda_compile_norm(
    int64_t width, ck_cuda_element element, int architecture, int shared_bytes, ck_cuda_kernel kernels[8], int *count);

/// The same for products of up to `rows` rows with a weight; `shared_bytes` of a kernel is the minimum that it needs.
const char *ck_cuda_compile_product(
    ck_weight_format format, ck_cuda_element element, int rows, int architecture, int shared_bytes, ck_cuda_kernel kernels[8],
    int *count);

/// The same for attention over a cache of this format, with `queries` queries to a head of keys.
const char *ck_cuda_compile_attention(
    int64_t head_size, ck_weight_format format, ck_cuda_element element, int queries, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count);

#ifdef __cplusplus
}
#endif
#endif
