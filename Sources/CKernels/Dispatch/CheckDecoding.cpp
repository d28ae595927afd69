// The checks of the kernels of decoding.
#include "Dispatch/ArgumentChecks.hpp"

namespace ckernels {
namespace {

bool isPossible(const ck_matrix &matrix) {
  return matrix.inputs >= 1 && matrix.outputs >= 0 && ck_has_scales(matrix.format) == (matrix.scales != nullptr);
}

bool isPossible(const ck_kv_view &view) {
  const bool isScaled = ck_has_scales(view.format);
  return view.format != CK_INT4 && view.rows >= 1 && view.start >= 0 && view.capacity - view.start >= view.rows &&
         isScaled == (view.key_scales != nullptr) && isScaled == (view.value_scales != nullptr);
}

bool isPossible(const ck_attention_layer &layer) {
  const int64_t queries = layer.heads * layer.head_size, keys = layer.key_value_heads * layer.head_size;
  return layer.key_value_heads >= 1 && layer.heads >= 1 && layer.heads % layer.key_value_heads == 0 &&
         layer.head_size >= 2 && layer.head_size % 2 == 0 && isPossible(layer.query) && isPossible(layer.key) &&
         isPossible(layer.value) && isPossible(layer.output) && layer.query.outputs == queries &&
         layer.key.outputs == keys && layer.value.outputs == keys && layer.output.inputs == queries &&
         layer.output.outputs == layer.query.inputs && layer.key.inputs == layer.query.inputs &&
         layer.value.inputs == layer.query.inputs && layer.key.format == layer.query.format &&
         layer.value.format == layer.query.format;
}

bool isPossible(const ck_sampling_settings &settings) {
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
    if (!isPossible(gate) || !isPossible(up) || !isPossible(down) || gate.format != layer.gate[0].format ||
        up.format != gate.format || down.format != layer.down[0].format || gate.inputs != layer.gate[0].inputs ||
        gate.outputs != layer.gate[0].outputs || up.inputs != gate.inputs || up.outputs != gate.outputs ||
        down.inputs != gate.outputs || down.outputs != gate.inputs)
      return false;
  }
  return true;
}

}  // namespace

Check check(const ck_quantize_args &args) { return checked(args.outputs >= 0 && args.inputs >= 1, args.outputs == 0); }

Check check(const ck_dequantize_args &args) {
  return checked(
      isPossible(*args.matrix) && args.first >= 0 && args.count >= 0 && args.first <= args.matrix->outputs - args.count,
      args.count == 0);
}

Check check(const ck_gemm_args &args) {
  return checked(args.rows >= 0 && isPossible(*args.weight), args.rows == 0 || args.weight->outputs == 0);
}

Check check(const ck_attention_sublayer_args &args) {
  if (!isPossible(*args.layer) || args.count < 0) return Check::impossible;
  for (int64_t each = 0; each < args.count; each++)
    if (!isPossible(args.sequences[each])) return Check::impossible;
  return checked(true, args.count == 0);
}

Check check(const ck_feed_forward_sublayer_args &args) {
  return checked(args.rows >= 0 && isPossible(*args.layer), args.rows == 0);
}

Check check(const ck_argmax_args &args) { return checked(args.rows >= 0 && args.width >= 1, args.rows == 0); }

Check check(const ck_sample_args &args) {
  return checked(args.rows >= 0 && args.width >= 1 && isPossible(*args.settings), args.rows == 0);
}

}  // namespace ckernels
