// One program as the tests see it; each is compiled by Programs.cpp in a namespace of its own.
#pragma once

#include "cudaemulation.h"

namespace emulation {

struct Program {
  cuda_emulation description;
  bool (*forward)(
      const ck_connection *writer, const ck_connection *reader, int64_t tokens, const void *state, const void *output,
      void *nextState, void *beta, void *input, int blocks);
  bool (*backward)(
      const ck_connection *connection, int64_t tokens, const void *state, const void *output,
      const void *inputGradient, const void *nextStateGradient, const void *previousBeta, void *stateGradient,
      void *previousOutputGradient, const ck_connection_gradients *gradients, int blocks);
};

/// The same for norms.
struct NormProgram {
  int width, elementBytes;
  void (*forward)(int64_t rows, const void *x, const float *weight, float epsilon, void *y, float *scale, int blocks);
  bool (*backward)(
      int64_t rows, const void *x, const float *weight, const float *scale, const void *yGradient, void *xGradient,
      float *weightGradient, int blocks);
};

}  // namespace emulation
