// One program as the tests see it; each is compiled by Programs.cpp in a namespace of its own.
#pragma once

#include "cudaemulation.h"

namespace emulation {

struct Program {
  cuda_emulation description;
  bool (*forward)(
      const ck_connection *writer, const ck_connection *reader, int64_t tokens, const void *state, const void *output,
      void *nextState, void *savedWrite, void *input, int blocks);
  bool (*backward)(
      const ck_connection *connection, int64_t tokens, const void *state, const void *output, const void *inputGradient,
      const void *nextStateGradient, const void *previousSavedWrite, void *stateGradient, void *previousOutputGradient,
      const ck_connection_gradients *gradients, int blocks);
};

/// The same for norms.
struct NormProgram {
  int width, elementBytes;
  void (*forward)(int64_t rows, const void *x, const float *weight, float epsilon, void *y, float *scale, int blocks);
  bool (*backward)(
      int64_t rows, const void *x, const float *weight, const float *scale, const void *yGradient, void *xGradient,
      float *weightGradient, int blocks);
};

/// The same for products, and for attention over a cache.
struct ProductProgram {
  int format, elementBytes, rows;
  bool (*run)(
      const ck_matrix *matrices, int count, int64_t rows, const void *x, const float *gain, float epsilon,
      const void *residual, void *y, int sharedBytes, int blocks);
};

struct AttentionProgram {
  int head, format, elementBytes, queries;
  bool (*run)(
      const ck_attention_layer *layer, const ck_kv_view *sequences, int count, const int64_t *starts,
      const float *projected, const float *cosine, const float *sine, int splits, void *attentionOutput);
};

}  // namespace emulation
