// Decoding: matrix products and sublayers of a few rows with weights of floats or quantized, and the choice of a token.
// Conventions: ckernels.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The maximum number of rows for which skinny products, and with them the sublayers of decoding, are made.
enum { ck_maximum_skinny_rows = 16 };

/// The format of a weight [N,K] in memory. The last two are integers, 32 of a row under one bfloat16 scale:
/// weight = scale * integer. A row's last group may be short.
///
/// int8: values [N,K] of int8 from -127 to 127, scales [N,ceil(K/32)].
///
/// int4: values [N,16 ceil(K/128)] of little-endian words of 32 bits, scales [N,4 ceil(K/128)]. Sixteen groups of a row
/// are interleaved, at its end the 4, 8 or 12 that are left. Of such g groups, word t g + l, t from 0 to 3, has weights 8 t
/// to 8 t + 7 of group l as integers from -8 to 7 plus 8: integer 4 h + b of them is nibble 2 b + h, the lowest first. After
/// a row's end integers are 0, and so are the scales of groups that are all after it.
typedef enum ck_weight_format { CK_FLOAT32 = 0, CK_BFLOAT16 = 1, CK_INT8 = 2, CK_INT4 = 3 } ck_weight_format;

/// Whether the values of a format are integers under scales.
static inline bool ck_has_scales(ck_weight_format format) { return format == CK_INT8 || format == CK_INT4; }

/// A matrix [outputs, inputs] that is only read.
typedef struct ck_matrix {
  ck_weight_format format;
  int64_t outputs, inputs;
  const void *values;
  const uint16_t *scales;  ///< bfloat16; null for float32 and bfloat16
} ck_matrix;

/// Quantizes a weight [N,K]: each weight w becomes the integer that is nearest to w / scale. With M the largest magnitude in
/// a group:
///
/// int8: the scale is M / 127, rounded up. No weight changes by more than half of the scale, so by M / 254 (1 + 2^-7).
///
/// int4: the scale is the weight of largest magnitude over -8, rounded away from zero, or one near it for which the sum of
/// squared changes in the group is less. No weight changes by more than M / 8.
///
/// A group with M below 2^-110 becomes zero. False, with values and scales undefined, if a weight is not finite or of
/// 2^126 or more.
typedef struct ck_quantize_args {
  ck_weight_format format;  ///< int8 or int4
  int64_t outputs, inputs;  ///< N, K
  const float *weight;      ///< [N,K]
  void *values;             ///< as the format says
  uint16_t *scales;         ///< as the format says
} ck_quantize_args;

bool ck_quantize(const ck_quantize_args *args, int threads);

/// y = rows `first` to `first` + `count` of a matrix as floats.
typedef struct ck_dequantize_args {
  const ck_matrix *matrix;  ///< [N,K]
  int64_t first, count;
  float *y;                 ///< [count,K]
} ck_dequantize_args;

bool ck_dequantize(const ck_dequantize_args *args, int threads);

/// y = x weight^T.
typedef struct ck_gemm_args {
  int64_t rows;             ///< R
  const float *x;           ///< [R,K]
  const ck_matrix *weight;  ///< [N,K]
  float *y;                 ///< [R,N]
} ck_gemm_args;

/// For a few rows, as decoding has them, and correct for any number: the weight is read from memory once. With int4
/// weights, and with int8 where the vector code is AVX2, activations are rounded to 16 bits, 32 neighbors under one
/// scale: each changes by at most 1 / 65,278 of the largest of them, or becomes zero where that is 2^-110 or less.
bool ck_skinny_gemm(const ck_gemm_args *args, int threads);

/// For many rows, as prompts have them: a panel of weights at a time becomes floats that stay in cache for all rows. A row's
/// result does not depend on the others, but its bits are not those of `ck_skinny_gemm`.
bool ck_gemm(const ck_gemm_args *args, int threads);

/// The KV cache of one layer of one sequence, and where its new positions are stored: `rows` of them from `start`, after
/// all earlier ones.
typedef struct ck_kv_view {
  ck_weight_format format;           ///< float32, bfloat16 or int8
  int64_t capacity, start, rows;     ///< in positions
  void *keys, *values;               ///< [key_value_heads, capacity, head_size]
  float *key_scales, *value_scales;  ///< [key_value_heads, capacity] with int8, else null
} ck_kv_view;

/// The weights of an attention sublayer. Query, key and value share a format.
typedef struct ck_attention_layer {
  int64_t heads, key_value_heads, head_size;
  float epsilon;
  const float *norm;                     ///< [D]
  const float *query_norm, *key_norm;    ///< [head_size]
  ck_matrix query, key, value, output;
} ck_attention_layer;

/// The attention sublayer for R new positions of some sequences, the positions of a sequence one after another: norm,
/// projections, norm and rotation of the heads, and attention of each position over its sequence up to itself. New keys
/// and values are stored in the caches.
typedef struct ck_attention_sublayer_args {
  const ck_attention_layer *layer;
  const ck_kv_view *sequences;  ///< [count]
  int64_t count;
  const float *x;               ///< [R,D]
  const float *cosine;          ///< [R,head_size], of the rotary angles
  const float *sine;            ///< [R,head_size]
  bool adds_input;              ///< whether x is added to y
  float *y;                     ///< [R,D]
} ck_attention_sublayer_args;

bool ck_attention_sublayer(const ck_attention_sublayer_args *args, int threads);

/// The weights of a feed-forward sublayer, down (silu(gate x) * up x): of one network, or with a router of one an expert.
typedef struct ck_feed_forward_layer {
  float epsilon;
  const float *norm;                    ///< [D]
  const ck_matrix *router;              ///< [experts,D], or null for one network
  int64_t experts, chosen;              ///< a row goes through the `chosen` most probable experts
  bool renormalizes;                    ///< whether the probabilities of a row's experts are made to sum to one
  const ck_matrix *gate, *up, *down;    ///< one of each, or `experts`
} ck_feed_forward_layer;

/// The feed-forward sublayer: norm, then the network or the experts, whose outputs are weighted by their probabilities.
typedef struct ck_feed_forward_sublayer_args {
  const ck_feed_forward_layer *layer;
  int64_t rows;     ///< R
  const float *x;   ///< [R,D]
  bool adds_input;  ///< whether x is added to y
  float *y;         ///< [R,D]
} ck_feed_forward_sublayer_args;

bool ck_feed_forward_sublayer(const ck_feed_forward_sublayer_args *args, int threads);

/// The index of each row's largest element, the first of equals; -1 for a row with an element that is not finite.
typedef struct ck_argmax_args {
  int64_t rows, width;  ///< R, W; W is at least 1
  const float *x;       ///< [R,W]
  int64_t *indices;     ///< [R]
} ck_argmax_args;

bool ck_argmax(const ck_argmax_args *args, int threads);

/// How a token is sampled, in this order: logits of tokens seen before are divided by `repetition_penalty`, or multiplied
/// where they are below zero; all are divided by `temperature`; the `top_k` largest remain (0: all), then the fewest most
/// probable that have `top_p` of the probability together (1: all), then those with at least `min_p` of the largest
/// probability. What equals the last that remains, remains.
typedef struct ck_sampling_settings {
  double temperature;  ///< above 0
  int64_t top_k;
  double top_p;               ///< above 0
  double min_p;               ///< from 0 to 1
  double repetition_penalty;  ///< above 0; 1 where `seen` is null
} ck_sampling_settings;

/// One token sampled from each row of logits: the first that remains at which the running sum of the probabilities exceeds
/// the row's uniform number; -1 for a row with a logit that is not finite.
typedef struct ck_sample_args {
  int64_t rows, width;    ///< R, W; W is at least 1
  const float *x;         ///< [R,W]
  const double *uniform;  ///< [R], from 0 below 1
  const bool *seen;       ///< [R,W], the tokens seen before; or null
  const ck_sampling_settings *settings;
  int64_t *indices;       ///< [R]
} ck_sample_args;

bool ck_sample(const ck_sample_args *args, int threads);

#ifdef __cplusplus
}
#endif
