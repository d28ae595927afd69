// Generalized Hyper-Connections (arXiv 2511.11238), forward and backward. Conventions: ckernels.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The parameters of one connection. For each token with state H [n,C] and normalized slots
/// u_j = H_j / sqrt(mean(H_j^2) + epsilon) * gain, and with p = u [dynamic_read_carry; dynamic_write]^T / sqrt(C):
///
///     [read | carry] = static_read_carry + read_carry_scale * tanh(p[:, :m+n])     [n,m] and [n,n]
///     write          = static_write      + write_scale      * tanh(p[:, m+n:])     [n,m]
///
/// A static connection has null for the five pointers after `static_write`: its coefficients are the static ones.
typedef struct ck_connection {
  int64_t fraction_rate;            ///< m
  int64_t slots;                    ///< n
  int64_t slot_width;               ///< C
  float epsilon;                    ///< Added to the mean square of a slot.
  const float *static_read_carry;   ///< [n, m+n]
  const float *static_write;        ///< [n, m]
  const float *dynamic_read_carry;  ///< [m+n, C] or null
  const float *dynamic_write;       ///< [m, C] or null
  const float *read_carry_scale;    ///< [n, m+n] or null
  const float *write_scale;         ///< [n, m] or null
  const float *gain;                ///< [C] or null
  /// Null, or `ck_connection_projection_count` floats that the forward pass saves and the backward pass reads, which
  /// otherwise computes them again.
  float *projections;
} ck_connection;

/// The number of floats that the forward pass over `tokens` tokens saves in `projections`: for each slot its 2m + n
/// projections before the norm, and the norm's factor. 0 for a static connection, and where slots are so narrow that this would be
/// several times the state. Their layout depends on the vector code in use.
int64_t ck_connection_projection_count(const ck_connection *connection, int64_t tokens);

/// Where the gradients of a connection's parameters are added, in the shapes of `ck_connection`; any may be null.
typedef struct ck_connection_gradients {
  float *static_read_carry;
  float *static_write;
  float *dynamic_read_carry;
  float *dynamic_write;
  float *read_carry_scale;
  float *write_scale;
  float *gain;
} ck_connection_gradients;

/// One pass over the tokens: the write of the connection `writer`, then the read of the connection `reader` from the state
/// that the write gave. Without a `reader` a write alone, without a `writer` a read of `state` alone.
typedef struct ck_connection_forward_args {
  const ck_connection *writer;  ///< or null
  const ck_connection *reader;  ///< of the writer's m, n and C; or null
  int64_t tokens;               ///< N
  const float *state;           ///< [N,n,C]
  const float *output;          ///< [N,m,C], the output of the writer's sublayer
  float *next_state;            ///< [N,n,C] = write output + carry^T state, the state after the writer's sublayer
  float *saved_write;           ///< [N,m,n], the write coefficients (transposed) for the backward pass, or null
  float *input;                 ///< [N,m,C] = read^T next_state, or read^T state: the input of the reader's sublayer
} ck_connection_forward_args;

bool ck_connection_forward(const ck_connection_forward_args *args, int threads);

/// One pass over the tokens: the backward pass of `connection` after that of its sublayer, then the backward pass of the
/// write of `writer`, the connection before it. Without a `writer` that of `connection` alone, without a `connection` that
/// of the write alone: the first half of a connection's backward pass.
typedef struct ck_connection_backward_args {
  const ck_connection *connection;   ///< or null
  const ck_connection *writer;       ///< of the connection's m, n and C; or null
  int64_t tokens;                    ///< N
  const float *state;                ///< [N,n,C], the state that the connection read
  const float *output;               ///< [N,m,C], the output of the connection's sublayer
  const float *input_gradient;       ///< [N,m,C], of the input of the connection's sublayer
  const float *next_state_gradient;  ///< [N,n,C], of the state after the connection, or after the writer alone
  float *state_gradient;             ///< [N,n,C], of `state`; may be `next_state_gradient`
  const ck_connection_gradients *gradients;  ///< of the connection's parameters, added to; null for none
  const float *saved_write;                  ///< [N,m,n], as the writer's forward pass saved it
  float *writer_output_gradient;             ///< [N,m,C] = write^T of the gradient of the state after the writer
} ck_connection_backward_args;

bool ck_connection_backward(const ck_connection_backward_args *args, int threads);

#ifdef __cplusplus
}
#endif
