// The CPU's kernels for decoding: products and sublayers of a few rows with weights in whole numbers or floats, and the
// choice of a token. What ckernels.h says of arrays, threads and failure holds here too.
#ifndef WIDEBAND_CKERNELS_DECODING_H
#define WIDEBAND_CKERNELS_DECODING_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How a weight [N,K] lies in memory. The last two are whole numbers, 32 of a row under one bfloat16 scale:
/// weight = scale * number. A row's last group may be short.
///
/// int8: values [N,K] of int8 from -127 to 127, scales [N,ceil(K/32)].
///
/// int4: values [N,16 ceil(K/128)] of little-endian words of 32 bits, scales [N,4 ceil(K/128)]. Sixteen groups of a row
/// lie together, at its end the 4, 8 or 12 that are left. Of such g groups, word t g + l, t from 0 to 3, has weights 8 t to
/// 8 t + 7 of group l as numbers from -8 to 7 plus 8: number 4 h + b of them is nibble 2 b + h, the lowest first. Behind a
/// row's end numbers are 0, and scales of groups that lie there whole.
typedef enum ck_form { CK_FLOAT32 = 0, CK_BFLOAT16 = 1, CK_INT8 = 2, CK_INT4 = 3 } ck_form;

/// A `weight` [N,K] in the form int8 or int4, each weight w as the whole number that is nearest to w / scale. With M the largest
/// magnitude in a group:
///
/// int8: the scale is M / 127, rounded up. No weight changes by more than half of the scale, so by M / 254 (1 + 2^-7).
///
/// int4: the scale is the weight of largest magnitude over -8, rounded away from zero, or one near it for which the sum of
/// squared changes in the group is less. No weight changes by more than M / 8.
///
/// A group with M below 2^-110 becomes zero. False, with values and scales undefined, if a weight is not finite or of
/// 2^126 or more.
bool ck_quantize(
    ck_form form, int64_t outputs, int64_t inputs, const float *weight, void *values, uint16_t *scales,
    int threads);

/// A matrix [outputs, inputs] that is only read; `scales` are bfloat16, null for the first two forms.
typedef struct ck_matrix {
  ck_form form;
  int64_t outputs, inputs;
  const void *values;
  const uint16_t *scales;
} ck_matrix;

/// `y` [R,N] = `x` [R,K] `weight`^T for a weight [N,K] that is read from memory once. Made for a few rows, as decoding
/// has them, and correct for any number. In int4, and in int8 where the vector code is AVX2, activations are rounded to 16
/// bits, 32 neighbours under one scale: each changes by at most 1 / 65,278 of the largest of them, or becomes zero with it
/// where that is 2^-110 or less.
bool ck_narrow_product(int64_t rows, const float *x, const ck_matrix *weight, float *y, int threads);

/// The same, made for many rows, as prompts have them: some of the weights at a time become floats that stay in the caches
/// until all rows have met them. A row's result does not depend on the others, but its bits are not `ck_narrow_product`'s.
bool ck_wide_product(int64_t rows, const float *x, const ck_matrix *weight, float *y, int threads);

/// `y` [count,K], rows `first` and following of a matrix as floats.
bool ck_expand(const ck_matrix *matrix, int64_t first, int64_t count, float *y, int threads);

/// One layer's keys and values of one text, and where its new positions stand: `rows` of them from `start`, behind all
/// that is kept. Each is [key_value_heads, capacity, head_size] in float32, bfloat16 or int8, the last with scales
/// [key_value_heads, capacity].
typedef struct ck_memory {
  ck_form form;
  int64_t capacity, start, rows;
  void *keys, *values;
  float *key_scales, *value_scales;
} ck_memory;

/// An attention sublayer: norm [D], query and key norms [head_size], and its four matrices, of which the first three
/// share a form.
typedef struct ck_attention_layer {
  int64_t heads, key_value_heads, head_size;
  float epsilon;
  const float *norm, *query_norm, *key_norm;
  ck_matrix query, key, value, output;
} ck_attention_layer;

/// `y` [R,D], what attention makes of the new positions `x` [R,D] of some texts, one behind another, whose rotary
/// angles have `cosine` and `sine` [R,head_size]: norm, projections, norm and rotation of heads, and each position over
/// its text up to itself. New keys and values are kept in `texts`. If `adds_input`, x is added to y.
bool ck_attention_step(
    const ck_attention_layer *layer, const ck_memory *texts, int64_t count, const float *x, const float *cosine,
    const float *sine, bool adds_input, float *y, int threads);

/// A feed-forward sublayer: norm [D], and down (silu(gate x) * up x). With a `router` [experts,D] there are so many of
/// each matrix, and a row goes through the `chosen` most probable, whose outputs are weighted by their probabilities,
/// made to sum to one if `renormalizes`; without one there is one of each.
typedef struct ck_feed_forward_layer {
  float epsilon;
  const float *norm;
  const ck_matrix *router;
  int64_t experts, chosen;
  bool renormalizes;
  const ck_matrix *gate, *up, *down;
} ck_feed_forward_layer;

/// `y` [R,D], what a feed-forward sublayer makes of `x` [R,D]; if `adds_input`, x is added to it.
bool ck_feed_forward_step(
    const ck_feed_forward_layer *layer, int64_t rows, const float *x, bool adds_input, float *y, int threads);

/// `places` [R], the first of the places where each row of `x` [R,W] has its largest number; -1 for a row with a number
/// that is not finite. W is at least 1.
bool ck_largest(int64_t rows, int64_t width, const float *x, int64_t *places, int threads);

/// What a token is drawn from, in this order: logits of tokens seen before are divided by `repetition_penalty`, or
/// multiplied where they are below zero; all are divided by `temperature`; the `top_k` largest stay (0: all), then the
/// fewest most probable that have `top_p` of the probability together (1: all), then those with at least `min_p` of the
/// largest probability. What equals the last that stays, stays.
typedef struct ck_draw_settings {
  double temperature;  ///< above 0
  int64_t top_k;
  double top_p;  ///< above 0
  double min_p;  ///< from 0 to 1
  double repetition_penalty;  ///< above 0; 1 where `seen` is null
} ck_draw_settings;

/// `places` [R], one drawn from each row of `x` [R,W]: the first that stays at which the running sum of the
/// probabilities is beyond the row's number in `numbers` [R], from 0 below 1; -1 for a row with a number that is not
/// finite. `seen` [R,W] says which tokens were seen before, or is null. W is at least 1.
bool ck_draw(
    int64_t rows, int64_t width, const float *x, const double *numbers, const bool *seen,
    const ck_draw_settings *settings, int64_t *places, int threads);

#ifdef __cplusplus
}
#endif

#endif
