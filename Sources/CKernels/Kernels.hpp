// What the entry points ask of a vector code. The same source is compiled once for each.
#pragma once

#include "ckernels.h"
#include "ckernels_decoding.h"

namespace ckernels {

/// A forward pass over the tokens: a read, a write, or a write and then a read of what was written.
struct ForwardJob {
  const ck_connection *writer;  ///< null for a read alone
  const ck_connection *reader;  ///< null for a write alone
  int64_t tokens;
  const float *state;
  const float *output;
  float *nextState;
  float *beta;
  float *input;
};

/// A backward pass: of a whole connection, of a write, or of a connection and then the write before it.
struct BackwardJob {
  const ck_connection *connection;  ///< null for a write alone
  const ck_connection *writer;      ///< null for a connection alone
  int64_t tokens;
  const float *state;
  const float *output;
  const float *inputGradient;
  const float *nextStateGradient;
  float *stateGradient;
  const ck_connection_gradients *gradients;
  const float *writerState;
  const float *writerBeta;
  const float *writerNextStateGradient;
  float *writerOutputGradient;
};

struct NormJob {
  int64_t rows, width;
  const float *x;
  const float *weight;
  float epsilon;
  float *y;
  float *scale;
  const float *savedScale;
  const float *yGradient;
  float *xGradient;
  float *weightGradient;
};

struct GroupNormJob {
  int64_t rows, groups, width;
  const float *x;
  const float *weight;
  const float *bias;
  float epsilon;
  float *y;
  float *statistics;
  const float *savedStatistics;
  const float *yGradient;
  float *xGradient;
  float *weightGradient;
  float *biasGradient;
};

struct SwiGLUJob {
  int64_t count;
  const float *gate;
  const float *up;
  float *product;
  const float *productGradient;  ///< null for the forward pass
  float *gateGradient;
  float *upGradient;
};

struct RotaryNormJob {
  int64_t tokens, heads, width, period;
  const float *x;
  const float *weight;
  const float *cosine;
  const float *sine;
  float epsilon;
  float *y;
  float *scale;
  const float *savedScale;
  const float *yGradient;
  float *xGradient;
  float *weightGradient;
};

struct CrossEntropyJob {
  int64_t rows, width;
  float *logits;
  const int64_t *targets;
  float *losses;
  bool leavesGradient;
  float scale;
};

struct NarrowJob {
  int64_t rows;
  const float *x;
  const ck_matrix *weight;
  float *y;
};

struct ExpandJob {
  const ck_matrix *matrix;
  int64_t first, count;
  float *y;
};

struct QuantizeJob {
  ck_form form;
  int64_t outputs, inputs;
  const float *weight;
  void *values;
  uint16_t *scales;
};

struct AttentionStepJob {
  const ck_attention_layer *layer;
  const ck_memory *texts;
  int64_t count;
  const float *x;
  const float *cosine;
  const float *sine;
  bool addsInput;
  float *y;
};

struct FeedForwardStepJob {
  const ck_feed_forward_layer *layer;
  int64_t rows;
  const float *x;
  bool addsInput;
  float *y;
};

struct LargestJob {
  int64_t rows, width;
  const float *x;
  int64_t *places;
};

struct DrawJob {
  int64_t rows, width;
  const float *x;
  const double *numbers;
  const bool *seen;  ///< null where repetition costs nothing
  const ck_draw_settings *settings;
  int64_t *places;
};

struct AdamWJob {
  int64_t count;
  const ck_parameter *parameters;
  const ck_adamw_settings *settings;  ///< null for the norm of the gradients
  double *norm;
};

/// Spreads if there are no `rows`, multiplies if there are both `rows` and `x`, and gathers if there are rows alone.
struct RowsJob {
  int64_t pieces, perToken, width;
  const int64_t *places;
  const float *scales;  ///< may be null
  const float *x;
  const float *rows;
  float *out;
};

struct AttentionJob {
  int64_t batch, length, heads, keyHeads, width;
  float scale;
  const float *query;
  const float *key;
  const float *value;
  ck_key_layout keys;
  float *output;
  float *logarithms;
  const float *savedOutput;
  const float *savedLogarithms;
  const float *outputGradient;  ///< null for the forward pass
  float *queryGradient;
  float *keyGradient;
  float *valueGradient;
};

struct VectorCode {
  const char *name;
  bool hasDotProducts;  ///< whether the processor adds four products of bytes in one instruction
  int64_t (*projections)(const ck_connection &connection, int64_t tokens);
  bool (*forward)(const ForwardJob &job, int threads);
  bool (*backward)(const BackwardJob &job, int threads);
  bool (*norm)(const NormJob &job, int threads);
  bool (*normBackward)(const NormJob &job, int threads);
  bool (*groupNorm)(const GroupNormJob &job, int threads);
  bool (*groupNormBackward)(const GroupNormJob &job, int threads);
  bool (*swiglu)(const SwiGLUJob &job, int threads);
  bool (*rotaryNorm)(const RotaryNormJob &job, int threads);
  bool (*rotaryNormBackward)(const RotaryNormJob &job, int threads);
  bool (*crossEntropy)(const CrossEntropyJob &job, int threads);
  bool (*largest)(const LargestJob &job, int threads);
  bool (*draw)(const DrawJob &job, int threads);
  bool (*narrowProduct)(const NarrowJob &job, int threads);
  bool (*wideProduct)(const NarrowJob &job, int threads);
  bool (*expand)(const ExpandJob &job, int threads);
  bool (*quantize)(const QuantizeJob &job, int threads);
  bool (*attentionStep)(const AttentionStepJob &job, int threads);
  bool (*feedForwardStep)(const FeedForwardStepJob &job, int threads);
  bool (*adamW)(const AdamWJob &job, int threads);
  bool (*moveRows)(const RowsJob &job, int threads);
  bool (*attention)(const AttentionJob &job, int threads);
};

/// The vector code in use.
const VectorCode &code();

// Sizes beyond this could overflow the products of sizes the kernels form.
constexpr int64_t largest = int64_t(1) << 20;

#if defined(__x86_64__)
extern const VectorCode avx512VNNICode;
extern const VectorCode avx512Code;
extern const VectorCode avx2Code;
#endif
extern const VectorCode portableCode;

}  // namespace ckernels
