// The entry points of decoding: arguments checked, then handed to the vector code in use.
#include "Kernels.hpp"

namespace ckernels {
namespace {

bool isPossible(const ck_matrix &matrix) {
  const bool isScaled = matrix.form == CK_INT8 || matrix.form == CK_INT4;
  return matrix.inputs >= 1 && matrix.outputs >= 0 && isScaled == (matrix.scales != nullptr);
}

bool isPossible(const ck_memory &text) {
  const bool isScaled = text.form == CK_INT8;
  return text.form != CK_INT4 && text.rows >= 1 && text.start >= 0 && text.capacity - text.start >= text.rows &&
         isScaled == (text.key_scales != nullptr) && isScaled == (text.value_scales != nullptr);
}

bool isPossible(const ck_attention_layer &layer) {
  const int64_t queries = layer.heads * layer.head_size, keys = layer.key_value_heads * layer.head_size;
  return layer.key_value_heads >= 1 && layer.heads >= 1 && layer.heads % layer.key_value_heads == 0 &&
         layer.head_size >= 2 && layer.head_size % 2 == 0 && isPossible(layer.query) && isPossible(layer.key) &&
         isPossible(layer.value) && isPossible(layer.output) && layer.query.outputs == queries &&
         layer.key.outputs == keys && layer.value.outputs == keys && layer.output.inputs == queries &&
         layer.output.outputs == layer.query.inputs &&
         layer.key.inputs == layer.query.inputs && layer.value.inputs == layer.query.inputs &&
         layer.key.form == layer.query.form && layer.value.form == layer.query.form;
}

bool isPossible(const ck_draw_settings &settings) {
  return settings.temperature > 0 && settings.top_k >= 0 && settings.top_p > 0 && settings.min_p >= 0 &&
         settings.min_p <= 1 && settings.repetition_penalty > 0;
}

bool isPossible(const ck_feed_forward_layer &layer) {
  const int64_t count = layer.router ? layer.experts : 1;
  if (layer.router && (!isPossible(*layer.router) || layer.router->outputs != count || layer.chosen < 1 ||
                       layer.chosen > count || layer.router->inputs != layer.gate[0].inputs))
    return false;
  for (int64_t each = 0; each < count; each++) {
    const ck_matrix &gate = layer.gate[each], &up = layer.up[each], &down = layer.down[each];
    if (!isPossible(gate) || !isPossible(up) || !isPossible(down) || gate.form != layer.gate[0].form ||
        up.form != gate.form || down.form != layer.down[0].form || gate.inputs != layer.gate[0].inputs ||
        gate.outputs != layer.gate[0].outputs || up.inputs != gate.inputs || up.outputs != gate.outputs ||
        down.inputs != gate.outputs || down.outputs != gate.inputs)
      return false;
  }
  return true;
}

}  // namespace
}  // namespace ckernels

using namespace ckernels;

bool ck_narrow_product(int64_t rows, const float *x, const ck_matrix *weight, float *y, int threads) {
  if (rows < 0 || !isPossible(*weight)) return false;
  return rows == 0 || weight->outputs == 0 || code().narrowProduct({rows, x, weight, y}, threads);
}

bool ck_wide_product(int64_t rows, const float *x, const ck_matrix *weight, float *y, int threads) {
  if (rows < 0 || !isPossible(*weight)) return false;
  return rows == 0 || weight->outputs == 0 || code().wideProduct({rows, x, weight, y}, threads);
}

bool ck_expand(const ck_matrix *matrix, int64_t first, int64_t count, float *y, int threads) {
  if (!isPossible(*matrix) || first < 0 || count < 0 || first > matrix->outputs - count) return false;
  return count == 0 || code().expand({matrix, first, count, y}, threads);
}

bool ck_quantize(
    ck_form form, int64_t outputs, int64_t inputs, const float *weight, void *values, uint16_t *scales,
    int threads) {
  if (outputs < 0 || inputs < 1) return false;
  return outputs == 0 || code().quantize({form, outputs, inputs, weight, values, scales}, threads);
}

bool ck_attention_step(
    const ck_attention_layer *layer, const ck_memory *texts, int64_t count, const float *x, const float *cosine,
    const float *sine, bool adds_input, float *y, int threads) {
  if (!isPossible(*layer) || count < 0) return false;
  for (int64_t text = 0; text < count; text++)
    if (!isPossible(texts[text])) return false;
  return count == 0 || code().attentionStep({layer, texts, count, x, cosine, sine, adds_input, y}, threads);
}

bool ck_feed_forward_step(
    const ck_feed_forward_layer *layer, int64_t rows, const float *x, bool adds_input, float *y, int threads) {
  if (rows < 0 || !isPossible(*layer)) return false;
  return rows == 0 || code().feedForwardStep({layer, rows, x, adds_input, y}, threads);
}

bool ck_largest(int64_t rows, int64_t width, const float *x, int64_t *places, int threads) {
  if (rows < 0 || width < 1) return false;
  return rows == 0 || code().largest({rows, width, x, places}, threads);
}

bool ck_draw(
    int64_t rows, int64_t width, const float *x, const double *numbers, const bool *seen,
    const ck_draw_settings *settings, int64_t *places, int threads) {
  if (rows < 0 || width < 1 || !isPossible(*settings)) return false;
  return rows == 0 || code().draw({rows, width, x, numbers, seen, settings, places}, threads);
}
