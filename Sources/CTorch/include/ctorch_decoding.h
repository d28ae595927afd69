// Decoding: sublayers of a few new positions, each one call without a derivative, and the choice of a token. Conventions:
// ctorch.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctorch_layers.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The maximum number of positions of a sublayer's call, and of rows of a skinny product.
int wb_maximum_skinny_rows(void);

/// Gives the calling thread a worker team for the sublayers' kernels until `wb_worker_team_end` on the same thread. Operators
/// of libtorch have one thread meanwhile. False, with no team to end, within a team, with one thread, and while another thread
/// has a team.
bool wb_worker_team_begin(void);
void wb_worker_team_end(void);

/// An attention sublayer's weights: norms in float32, and matrices of which the first three share a format.
typedef struct wb_attention_layer {
  int64_t heads, key_value_heads, head_size;
  double epsilon;
  const wb_tensor *norm, *query_norm, *key_norm;
  wb_matrix query, key, value, output;
} wb_attention_layer;

/// The KV cache of one layer of one sequence, [1, K, capacity, hd] of float32, bfloat16 or int8, the last with float32
/// scales [1, K, capacity]; and its `rows` new positions from `start`.
typedef struct wb_kv_view {
  const wb_tensor *keys, *values, *key_scales, *value_scales;
  int64_t start, rows;
} wb_kv_view;

/// A sublayer's weights, checked once. They are read in place, so the tensors must keep their memory.
typedef struct wb_attention_weights wb_attention_weights;

/// NULL without an error where there is no kernel for the weights; to be released by the caller.
wb_attention_weights *wb_attention_weights_create(const wb_attention_layer *layer);
void wb_attention_weights_release(wb_attention_weights *weights);

/// Whether there is a kernel for x [..., D], at most `wb_maximum_skinny_rows` positions: float32 in the processor's memory
/// like the norms, or float32 or bfloat16 on a CUDA GPU with norms of float32. Where a GPU could have kernels but has none,
/// the reason is printed to standard error, once.
bool wb_attention_sublayer_is_supported(const wb_tensor *x, const wb_attention_weights *weights);

/// The attention sublayer for the new positions x of `count` sequences, T in all, the positions of a sequence one after
/// another, with rotary angles of cosine and sine [1, T, 1, hd]. Stores their keys and values in the caches. In x's shape;
/// added to x if `adds_input`. On a GPU `starts`, int64 [count] or NULL, is added to where their new positions begin when the
/// kernels run.
wb_tensor *wb_attention_sublayer(
    const wb_tensor *x, const wb_attention_weights *weights, const wb_kv_view *sequences, int64_t count,
    const wb_tensor *cosine, const wb_tensor *sine, const wb_tensor *starts, bool adds_input);

/// A feed-forward sublayer's weights: `experts` of each matrix, one without a router. The router [experts, D] and the
/// norm are float32; a row goes through the `chosen` most probable experts.
typedef struct wb_feed_forward_layer {
  double epsilon;
  const wb_tensor *norm, *router;
  int64_t experts, chosen;
  bool renormalizes;
  const wb_matrix *gate, *up, *down;
} wb_feed_forward_layer;

/// The same of a feed-forward sublayer.
typedef struct wb_feed_forward wb_feed_forward;

/// NULL without an error where there is no kernel for the weights; to be released by the caller.
wb_feed_forward *wb_feed_forward_create(const wb_feed_forward_layer *layer);
void wb_feed_forward_release(wb_feed_forward *weights);

/// Whether there is a kernel for x: as for attention, on a GPU without a router.
bool wb_feed_forward_sublayer_is_supported(const wb_tensor *x, const wb_feed_forward *weights);

/// The feed-forward sublayer of x, in x's shape; added to x if `adds_input`.
wb_tensor *wb_feed_forward_sublayer(const wb_tensor *x, const wb_feed_forward *weights, bool adds_input);

/// The index of the largest element of each row of a fusible x [R, V], the first of equals, int64 [R]; -1 for a row with an
/// element that is not finite.
wb_tensor *wb_argmax(const wb_tensor *x);

/// One token sampled from each row of fusible logits x [R, V], int64 [R], by `uniform` [R, 1] in float64 and the settings of
/// `ck_sample`; -1 for a row with a logit that is not finite. `seen` is bool [R, V] or NULL.
wb_tensor *wb_sample(
    const wb_tensor *x, const wb_tensor *uniform, const wb_tensor *seen, double temperature, int64_t top_k, double top_p,
    double min_p, double repetition_penalty);

#ifdef __cplusplus
}
#endif
