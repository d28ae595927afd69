// What the two kinds of sublayers share in decoding.
#pragma once

#include "Layers/RMSNorm.hpp"
#include "Quantized/SkinnyGEMM.hpp"

namespace ckernels::CK_CODE {

/// Allocates a sublayer's working memory; false if there is none.
template <class Sublayer>
bool allocateMemory(Sublayer &sublayer) {
  float *memory = scratch(sublayer.assignMemory(nullptr));
  if (memory) sublayer.assignMemory(memory);
  return memory != nullptr;
}

/// The norm of a sublayer's input x [rows, width], on this thread.
template <class Layer>
void normalizeInput(const Layer &layer, const float *x, Index rows, Index width, float *y) {
  rmsNorm({.rows = rows, .width = width, .x = x, .weight = layer.norm, .epsilon = layer.epsilon, .y = y}, 1);
}

/// The residual connection of a sublayer.
inline void addInput(const float *x, Index count, float *y) {
  for (Index i = 0; i < count; i++) y[i] += x[i];
}

}  // namespace ckernels::CK_CODE
