// Fused CPU kernels on raw float32 memory: Generalized Hyper-Connections, normalisation, the parts of a transformer layer
// that are no matrix products, forward and backward, and the optimizer, behind a plain C interface. Those of decoding are
// in ckernels_decoding.h.
//
// Shape letters: N tokens, m fraction rate, n slots (n >= m >= 1), C slot width. Every array is contiguous, row major,
// and needs no more alignment than a float. An array that is written may overlap another argument only where it is said.
//
// Every function takes the number of `threads` to use at most and shares the pool of the process's OpenMP library where
// one is loaded; without one it runs on the calling thread. Tokens are dealt to threads in fixed shares and gradients
// of parameters are added up in the order of the threads, so a result depends on `threads` but never on timing.
// Denormal numbers count as zero while a kernel runs.
//
// Every function returns false, having written nothing, if a size is impossible (m < 1, n < m, C < 1, or a negative
// count) or its scratch memory cannot be had; the scratch is kept by the calling thread and reused.
#ifndef WIDEBAND_CKERNELS_H
#define WIDEBAND_CKERNELS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Generalized Hyper-Connections (arXiv 2511.11238).

/// The parameters of one connection. For each token with state H [n,C] and normalised slots
/// u_j = H_j / sqrt(mean(H_j^2) + epsilon) * gain, and with p = u [dynamic_alpha; dynamic_beta]^T / sqrt(C):
///
///     [read | carry] = static_alpha + alpha_scale * tanh(p[:, :m+n])      [n,m] and [n,n]
///     write          = static_beta  + beta_scale  * tanh(p[:, m+n:])      [n,m]
///
/// A connection without dynamic maps has null for the five pointers after `static_beta`: its coefficients are the
/// static ones.
typedef struct ck_connection {
  int64_t fraction_rate;       ///< m
  int64_t slots;               ///< n
  int64_t slot_width;          ///< C
  float epsilon;               ///< Added to the mean square of a slot.
  const float *static_alpha;   ///< [n, m+n]
  const float *static_beta;    ///< [n, m]
  const float *dynamic_alpha;  ///< [m+n, C] or null
  const float *dynamic_beta;   ///< [m, C] or null
  const float *alpha_scale;    ///< [n, m+n] or null
  const float *beta_scale;     ///< [n, m] or null
  const float *gain;           ///< [C] or null
  /// Null, or where read and write leave what `ck_connection_projections` says and the backward pass finds it.
  float *projections;
} ck_connection;

/// How many numbers a read and a write over so many tokens keep in `projections`, which the backward pass else computes
/// again: of each slot its 2m + n projections before the norm, and the norm's factor. 0 where there are no dynamic maps,
/// or where slots are so narrow that this would be several times the state. What is kept is laid out for the vector
/// code in use.
int64_t ck_connection_projections(const ck_connection *connection, int64_t tokens);

/// Where the gradients of a connection's parameters are added, in the shapes of `ck_connection`; any may be null.
typedef struct ck_connection_gradients {
  float *static_alpha;
  float *static_beta;
  float *dynamic_alpha;
  float *dynamic_beta;
  float *alpha_scale;
  float *beta_scale;
  float *gain;
} ck_connection_gradients;

/// What the sublayer sees: `input` [N,m,C] = read^T `state`, from `state` [N,n,C].
bool ck_connection_read(const ck_connection *connection, int64_t tokens, const float *state, float *input, int threads);

/// The state after the sublayer: `next_state` [N,n,C] = write `output` + carry^T `state`, from `state` [N,n,C] and the
/// sublayer's `output` [N,m,C]. The coefficients are computed again from `state`. Unless `beta` is null the write
/// coefficients are kept there, [N,m,n] (transposed), so that the backward pass of the write need not see the state.
bool ck_connection_write(
    const ck_connection *connection, int64_t tokens, const float *state, const float *output, float *next_state,
    float *beta, int threads);

/// `ck_connection_write`, and in the same pass over the tokens `next_input` [N,m,C], what the connection `next` of the
/// same m, n and C reads from `next_state`.
bool ck_connection_write_read(
    const ck_connection *connection, const ck_connection *next, int64_t tokens, const float *state,
    const float *output, float *next_state, float *beta, float *next_input, int threads);

/// First half of the backward pass: `output_gradient` [N,m,C] = write^T `next_state_gradient` [N,n,C], the gradient of
/// the sublayer's output. With `beta` as saved by the write, `state` is not used and may be null; with `beta` null the
/// coefficients are computed again from `state`.
bool ck_connection_write_backward(
    const ck_connection *connection, int64_t tokens, const float *state, const float *beta,
    const float *next_state_gradient, float *output_gradient, int threads);

/// Second half, after the backward pass of the sublayer: from `state` [N,n,C], the sublayer's `output` [N,m,C], the
/// gradient of its input `input_gradient` [N,m,C] and `next_state_gradient` [N,n,C], the whole gradient of the state
/// `state_gradient` [N,n,C] (read, carry, and the coefficients' own dependence on it), which may take the place of
/// `next_state_gradient`; adds the gradients of the parameters to `gradients`.
bool ck_connection_backward(
    const ck_connection *connection, int64_t tokens, const float *state, const float *output,
    const float *input_gradient, const float *next_state_gradient, float *state_gradient,
    const ck_connection_gradients *gradients, int threads);

/// `ck_connection_backward`, and in the same pass over the tokens `ck_connection_write_backward` of the connection
/// `previous` (same m, n and C), for which `state_gradient` is the gradient of the state after its sublayer:
/// `previous_output_gradient` [N,m,C]. `previous_state` and `previous_beta` as `state` and `beta` there.
bool ck_connection_backward_write_backward(
    const ck_connection *connection, const ck_connection *previous, int64_t tokens, const float *state,
    const float *output, const float *input_gradient, const float *next_state_gradient, const float *previous_state,
    const float *previous_beta, float *state_gradient, float *previous_output_gradient,
    const ck_connection_gradients *gradients, int threads);

// Root-mean-square normalisation.

/// `y` [R,d] = x * scale * weight with `scale` [R] = 1 / sqrt(mean(x^2) + epsilon) of each row of `x` [R,d], `weight`
/// [d]. `scale` is what the backward pass needs beside x; it may be null.
bool ck_rms_norm(
    int64_t rows, int64_t width, const float *x, const float *weight, float epsilon, float *y, float *scale,
    int threads);

/// From `y_gradient` [R,d], `x`, `weight` and the saved `scale`: `x_gradient` [R,d], and adds the gradient of the
/// weight to `weight_gradient` [d] unless that is null.
bool ck_rms_norm_backward(
    int64_t rows, int64_t width, const float *x, const float *weight, const float *scale, const float *y_gradient,
    float *x_gradient, float *weight_gradient, int threads);

// Group normalisation.

/// `y` [R,G,d] = (x - mean) * scale * weight + bias, with the mean of each group of d channels of `x` [R,G,d] and
/// `scale` = 1 / sqrt(its variance + epsilon); `weight` and `bias` are [G,d]. `statistics` [R,G,2] receives mean and
/// scale, which is what the backward pass needs beside x.
bool ck_group_norm(
    int64_t rows, int64_t groups, int64_t width, const float *x, const float *weight, const float *bias, float epsilon,
    float *y, float *statistics, int threads);

/// From `y_gradient` [R,G,d], `x`, `weight` and the saved `statistics`: `x_gradient` [R,G,d], and adds the gradients of
/// weight and bias to `weight_gradient` and `bias_gradient` [G,d].
bool ck_group_norm_backward(
    int64_t rows, int64_t groups, int64_t width, const float *x, const float *weight, const float *statistics,
    const float *y_gradient, float *x_gradient, float *weight_gradient, float *bias_gradient, int threads);

// The parts of a transformer layer that are no products.

/// `product` [count] = silu(`gate`) * `up`.
bool ck_swiglu(int64_t count, const float *gate, const float *up, float *product, int threads);

/// From the gradient of the product, [count] like all others: the gradients of gate and up, and the product again.
/// `product` may be `product_gradient`.
bool ck_swiglu_backward(
    int64_t count, const float *gate, const float *up, const float *product_gradient, float *product,
    float *gate_gradient, float *up_gradient, int threads);

/// Each head of `x` [N,H,d] scaled to unit root-mean-square and by `weight` [d], then turned by the angles of its token:
///
///     y_c = v_c cos_c - v_(c+d/2) sin_c,  y_(c+d/2) = v_(c+d/2) cos_(c+d/2) + v_c sin_(c+d/2)     for c < d/2
///
/// `cosine` and `sine` are [period,d]; token t has the angles of row t mod period. `scale` [N,H] is kept for the
/// backward pass. d is even.
bool ck_rotary_norm(
    int64_t tokens, int64_t heads, int64_t width, int64_t period, const float *x, const float *weight,
    const float *cosine, const float *sine, float epsilon, float *y, float *scale, int threads);

/// From `y_gradient` [N,H,d]: `x_gradient` [N,H,d], and adds the gradient of the weight to `weight_gradient` [d].
bool ck_rotary_norm_backward(
    int64_t tokens, int64_t heads, int64_t width, int64_t period, const float *x, const float *weight,
    const float *cosine, const float *sine, const float *scale, const float *y_gradient, float *x_gradient,
    float *weight_gradient, int threads);

/// How keys and values [B,S,K,d] lie: `length` S positions, and how many floats lie between neighbours in S, K and B.
typedef struct ck_key_layout {
  int64_t length, position, head, row;
} ck_key_layout;

/// Causal attention: `output` [B,T,H,d] = softmax(scale query key^T) value, where query t sees the keys up to S - T + t.
/// `query` is [B,T,H,d]; `key` and `value` have K heads, each of which H/K queries' heads share. `logarithms` [B,H,T]
/// receives the logarithms of the sums, which is what the backward pass needs beside the output.
bool ck_attention(
    int64_t batch, int64_t length, int64_t heads, int64_t key_heads, int64_t width, float scale, const float *query,
    const float *key, const float *value, ck_key_layout layout, float *output, float *logarithms, int threads);

/// From `output_gradient` [B,T,H,d] and what went into and came out of the forward pass: the gradients of query, key and
/// value, where keys and values are [B,T,K,d] without gaps.
bool ck_attention_backward(
    int64_t batch, int64_t length, int64_t heads, int64_t key_heads, int64_t width, float scale, const float *query,
    const float *key, const float *value, const float *output, const float *logarithms, const float *output_gradient,
    float *query_gradient, float *key_gradient, float *value_gradient, int threads);

/// `losses` [R] = -log softmax(`logits` [R,V])[target]; a row whose target is negative has none and counts zero. If
/// `leaves_gradient`, the logits become the gradient of `scale` times the sum of the losses. False, and nothing
/// written, for a target of V or more.
bool ck_cross_entropy(
    int64_t rows, int64_t width, float *logits, const int64_t *targets, float *losses, bool leaves_gradient,
    float scale, int threads);

// Tokens on their way to experts and back. Each of N tokens is sent to k rows; the sendings of token t have the numbers
// t k, t k + 1 and so on. `scales` [N,k] may be null, for one.

/// `out` [R,d]: each row the token of its sending, times the sending's scale; zero where the sending is negative.
bool ck_spread_rows(
    int64_t rows, int64_t per_token, int64_t width, const int64_t *sendings, const float *scales, const float *x,
    float *out, int threads);

/// `sums` [N,d]: for each token the sum of its k rows, of which `places` [N,k] are the numbers, times their scales.
bool ck_gather_rows(
    int64_t tokens, int64_t per_token, int64_t width, const int64_t *places, const float *scales, const float *rows,
    float *sums, int threads);

/// `products` [N,k]: of each token of `x` [N,d] with each of its rows.
bool ck_row_products(
    int64_t tokens, int64_t per_token, int64_t width, const int64_t *places, const float *x, const float *rows,
    float *products, int threads);

// The optimizer.

/// One parameter of a model: `count` numbers each of its weight, its gradient, and the running means of its gradient and
/// of the square of that. A null gradient counts as zero.
typedef struct ck_parameter {
  int64_t count;
  float *weight;
  const float *gradient;
  float *first_moment;
  float *second_moment;
  double learning_rate;
  double weight_decay;
} ck_parameter;

typedef struct ck_adamw_settings {
  double beta1, beta2;
  double epsilon;
  double gradient_scale;  ///< What every gradient is multiplied by first.
  int64_t step;           ///< The number of this step, from 1.
} ck_adamw_settings;

/// One step of AdamW (arXiv 1711.05101, algorithm 2) on all of `parameters` in one pass, dealt to the threads as one long
/// array. An element's result does not depend on `threads`.
bool ck_adamw(const ck_parameter *parameters, int64_t count, const ck_adamw_settings *settings, int threads);

/// `norm` = the square root of the sum of the squares of all gradients, in double; of a parameter only `count` and
/// `gradient` are used. Infinite or no number if a gradient is.
bool ck_gradient_norm(const ck_parameter *parameters, int64_t count, double *norm, int threads);

// The processor.

/// Calls `body(context)` on this thread while the others of `threads` stand by: kernels that it calls share their work out
/// to them at less cost, and between kernels they fetch the weights that followed the last time. For a run of kernels of a
/// few rows; what else calls for the pool within gets one thread.
void ck_stand_by(int threads, void (*body)(void *context), void *context);

/// The threads that the `ck_stand_by` around this call was given: those for kernels within. 0 where there is none.
int ck_threads_standing_by(void);

/// Bytes a second at which `threads` threads read memory together: the middle one of a few passes over an array of `bytes`,
/// which should be many times as large as the caches. 0 where there is no room for it.
double ck_read_bandwidth(int64_t bytes, int threads);

/// The vector code in use: "avx512vnni", "avx512", "avx2" or "portable". The best the processor has, unless told otherwise.
const char *ck_vector_code(void);

/// The vector code of a number, from 0, of those that the processor and the build have, the best first; null past the last.
const char *ck_supported_vector_code(int index);

/// On how many processors the process may run, at least one.
int ck_processor_count(void);

/// Makes every later call use the named vector code, so that tests and benchmarks reach all of it on one processor;
/// false, and no change, if the processor or the build has no such code.
bool ck_use_vector_code(const char *name);

#ifdef __cplusplus
}
#endif

#endif
