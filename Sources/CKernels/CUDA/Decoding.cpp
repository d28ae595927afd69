// Decoding on a GPU: products and sublayers of a few rows.
#include <algorithm>

#include "Guard.hpp"
#include "Modules.hpp"
#include "ckernels_cuda.h"

namespace ckernels {
namespace cuda {
namespace {

constexpr int64_t mostRows = 16, mostInputs = int64_t(1) << 28;

/// The fewest rows that there is a program for and that are enough.
ProductShape productShape(const ck_matrix &weight, int64_t rows, ck_cuda_element element) {
  if (rows < 1 || rows > mostRows)
    throw Failure{"products of " + std::to_string(rows) + " rows have no kernel: expected 1 to 16"};
  const bool isScaled = weight.form == CK_INT8 || weight.form == CK_INT4;
  if (weight.inputs < 1 || weight.inputs > mostInputs || weight.outputs < 1 || isScaled != (weight.scales != nullptr))
    throw Failure{
        "a weight [" + std::to_string(weight.outputs) + ", " + std::to_string(weight.inputs) +
        "] of form " + std::to_string(int(weight.form)) + " has no kernel"};
  const int few = element == CK_CUDA_BFLOAT16 ? 8 : 4;
  return {int(weight.form), int(element), rows <= few ? few : int(mostRows)};
}

const ProductModule &productsFor(const ck_matrix &weight, int64_t rows, const ck_cuda_target &target) {
  return productModule(productShape(weight, rows, target.element), target.device);
}

ProductMatrix asArgument(const ck_matrix &weight) {
  requireAligned({weight.values, weight.scales});
  return {weight.values, weight.scales, weight.outputs};
}

/// Launches a kernel over `tiles` tiles of the weights' rows.
void launch(
    const ProductModule &module, const Kernel &kernel, int64_t tiles, ProductArguments &arguments, void *stream) {
  const ProductShape &shape = module.shape;
  requireAligned({arguments.x, arguments.residual, arguments.y, arguments.gain});
  arguments.slice = shape.sliceFor(arguments.rows, arguments.inputs, kernel.sharedBytes);
  if (arguments.slice < 1) throw Failure{"the GPU has too little shared memory for products of a few rows"};
  const int64_t most = int64_t(module.multiprocessors) * shape.blocksTogether();
  kernel.launch(
      int(std::min(tiles, most)), stream, &arguments, shape.bytes(arguments.rows, arguments.slice));
}

int64_t tilesOf(const ck_matrix &weight, int outputs) { return (weight.outputs + outputs - 1) / outputs; }

void multiply(
    const ck_matrix &weight, int64_t rows, const void *x, const void *residual, void *y,
    const ck_cuda_target &target) {
  const ProductModule &module = productsFor(weight, rows, target);
  ProductArguments arguments{};
  arguments.matrices[0] = asArgument(weight);
  arguments.x = x;
  arguments.residual = residual;
  arguments.y = y;
  arguments.inputs = weight.inputs;
  arguments.rows = int(rows);
  launch(module, module.plain, tilesOf(weight, ProductShape::tile), arguments, target.stream);
}

/// The parts of a workspace, one behind another, each at a multiple of 16 bytes.
struct Workspace {
  unsigned char *base;
  int64_t used = 0;

  template <class Element>
  Element *take(int64_t bytes) {
    auto *part = reinterpret_cast<Element *>(base + used);
    used += (bytes + 15) / 16 * 16;
    return part;
  }
};

/// How a sublayer's attention is divided.
struct AttentionPlan {
  const ck_attention_layer &layer;
  int64_t rows = 0, tasks = 0;
  AttentionShape shape;
  const AttentionModule &module;
  int splits = 1;
  float *projected, *sums, *extremes;
  void *attended;
  int *counters;
  int64_t bytes;

  AttentionPlan(
      const ck_attention_layer &layer, const ck_memory *texts, int64_t count, const ck_cuda_target &target,
      void *workspace)
      : layer(layer), shape(shapeFor(layer, texts, count, target)), module(attentionModule(shape, target.device)) {
    const int64_t group = layer.heads / layer.key_value_heads;
    int64_t longest = 0;
    for (int64_t text = 0; text < count; text++) {
      rows += texts[text].rows;
      tasks += (texts[text].rows * group + shape.queries - 1) / shape.queries * layer.key_value_heads;
      longest = std::max(longest, texts[text].capacity);
    }
    // Every multiprocessor a block, none of them with less than its warps load at once; no start is known here.
    const int64_t useful = std::max<int64_t>(longest / shape.positions(), 1);
    splits = int(std::clamp<int64_t>(module.multiprocessors / tasks, 1, std::min<int64_t>(useful, shape.mostSplits)));
    Workspace parts{static_cast<unsigned char *>(workspace)};
    projected = parts.take<float>(rows * (layer.heads + 2 * layer.key_value_heads) * shape.head * 4);
    attended = parts.take<void *>(rows * layer.heads * shape.head * shape.elementBytes);
    sums = parts.take<float>(tasks * splits * shape.queries * shape.head * 4);
    extremes = parts.take<float>(tasks * splits * shape.queries * 2 * 4);
    counters = parts.take<int>(tasks * 4);
    bytes = parts.used;
  }

  static AttentionShape shapeFor(
      const ck_attention_layer &layer, const ck_memory *texts, int64_t count, const ck_cuda_target &target) {
    const int64_t group = layer.key_value_heads > 0 ? layer.heads / layer.key_value_heads : 0;
    const bool isPossible =
        count >= 1 && count <= AttentionArguments::mostTexts && group >= 1 && group * layer.key_value_heads == layer.heads &&
        layer.head_size >= 2 && layer.head_size <= 256 && layer.query.outputs == layer.heads * layer.head_size &&
        layer.key.outputs == layer.key_value_heads * layer.head_size && layer.value.outputs == layer.key.outputs &&
        layer.output.inputs == layer.query.outputs && layer.key.inputs == layer.query.inputs &&
        layer.value.inputs == layer.query.inputs && layer.output.outputs == layer.query.inputs &&
        layer.key.form == layer.query.form && layer.value.form == layer.query.form;
    if (!isPossible) throw Failure{"such an attention sublayer has no kernel"};
    int64_t most = 0, rows = 0;
    for (int64_t text = 0; text < count; text++) {
      const ck_memory &memory = texts[text];
      if (memory.rows < 1 || memory.rows > mostRows || memory.form == CK_INT4 || memory.form != texts[0].form ||
          memory.capacity >= INT32_MAX || memory.start < 0 || memory.start > memory.capacity - memory.rows)
        throw Failure{"such a cache of keys and values has no kernel"};
      most = std::max(most, memory.rows * group);
      rows += memory.rows;
    }
    productShape(layer.query, rows, target.element);
    productShape(layer.output, rows, target.element);
    const AttentionShape shape(int(layer.head_size), int(texts[0].form), int(target.element), most <= 4 ? 4 : 8);
    if (!shape.isPossible())
      throw Failure{"heads of " + std::to_string(layer.head_size) + " channels have no kernel over such a cache"};
    return shape;
  }
};

/// Queries, keys and values of normalised rows.
void project(const AttentionPlan &plan, const void *x, const ck_cuda_target &target) {
  const ck_attention_layer &layer = plan.layer;
  const ProductModule &module = productsFor(layer.query, plan.rows, target);
  ProductArguments arguments{};
  int64_t tiles = 0;
  const ck_matrix *matrices[] = {&layer.query, &layer.key, &layer.value};
  for (int each = 0; each < 3; each++) {
    arguments.matrices[each] = asArgument(*matrices[each]);
    tiles += tilesOf(*matrices[each], ProductShape::tile);
  }
  arguments.x = x;
  arguments.gain = layer.norm;
  arguments.epsilon = layer.epsilon;
  arguments.y = plan.projected;
  arguments.counters = plan.counters;
  arguments.counterCount = int(plan.tasks);
  arguments.inputs = layer.query.inputs;
  arguments.rows = int(plan.rows);
  launch(module, module.projections, tiles, arguments, target.stream);
}

void attend(
    const AttentionPlan &plan, const ck_memory *texts, int64_t count, const int64_t *starts, const float *cosine,
    const float *sine, const ck_cuda_target &target) {
  AttentionArguments arguments{};
  for (int64_t each = 0; each < count; each++) {
    const ck_memory &text = texts[each];
    requireAligned({text.keys, text.values});
    arguments.texts[each] = {
        text.keys, text.values, text.key_scales, text.value_scales,
        starts ? reinterpret_cast<const long long *>(starts + each) : nullptr, text.start, text.capacity,
        int(text.rows)};
  }
  arguments.projected = plan.projected;
  arguments.queryNorm = plan.layer.query_norm;
  arguments.keyNorm = plan.layer.key_norm;
  arguments.cosine = cosine;
  arguments.sine = sine;
  arguments.attended = plan.attended;
  arguments.sums = plan.sums;
  arguments.extremes = plan.extremes;
  arguments.counters = plan.counters;
  arguments.heads = int(plan.layer.heads);
  arguments.keyHeads = int(plan.layer.key_value_heads);
  arguments.splits = plan.splits;
  arguments.epsilon = plan.layer.epsilon;
  plan.module.attention.launch(int(plan.tasks) * plan.splits, target.stream, &arguments);
}

int64_t bytesOfGates(const ck_feed_forward_layer &layer, int64_t rows, const ck_cuda_target &target) {
  if (layer.router) throw Failure{"experts have no kernels for a few rows"};
  const ck_matrix &gate = layer.gate[0], &up = layer.up[0], &down = layer.down[0];
  if (up.form != gate.form || up.inputs != gate.inputs || up.outputs != gate.outputs || down.inputs != gate.outputs ||
      down.outputs != gate.inputs)
    throw Failure{"such a feed-forward sublayer has no kernel"};
  productsFor(gate, rows, target);
  productsFor(down, rows, target);
  return rows * gate.outputs * int(target.element);
}

}  // namespace
}  // namespace cuda
}  // namespace ckernels

using namespace ckernels::cuda;

bool ck_cuda_narrow_product_is_supported(int64_t rows, const ck_matrix *weight, const ck_cuda_target *target) {
  return guarded(false, [&] {
    productsFor(*weight, rows, *target);
    return true;
  });
}

bool ck_cuda_narrow_product(
    int64_t rows, const void *x, const ck_matrix *weight, void *y, const ck_cuda_target *target) {
  return guarded(false, [&] {
    multiply(*weight, rows, x, nullptr, y, *target);
    return true;
  });
}

bool ck_cuda_attention_step_is_supported(
    const ck_attention_layer *layer, int64_t rows, const ck_cuda_target *target) {
  return guarded(false, [&] {
    for (ck_form form : {CK_FLOAT32, CK_BFLOAT16, CK_INT8}) {
      const ck_memory text{form, rows, 0, rows, nullptr, nullptr, nullptr, nullptr};
      // Activations of bfloat16 are never kept in float32.
      if (form != CK_FLOAT32 || target->element == CK_CUDA_FLOAT32)
        AttentionPlan::shapeFor(*layer, &text, 1, *target);
    }
    productsFor(layer->query, rows, *target);
    productsFor(layer->output, rows, *target);
    return true;
  });
}

int64_t ck_cuda_attention_step_workspace(
    const ck_attention_layer *layer, const ck_memory *texts, int64_t count, const ck_cuda_target *target) {
  return guarded<int64_t>(-1, [&] {
    return AttentionPlan(*layer, texts, count, *target, nullptr).bytes;
  });
}

bool ck_cuda_attention_step(
    const ck_attention_layer *layer, const ck_memory *texts, int64_t count, const int64_t *starts, const void *x,
    const float *cosine, const float *sine, bool adds_input, void *y, void *workspace, const ck_cuda_target *target) {
  return guarded(false, [&] {
    requireAligned({workspace});
    const AttentionPlan plan(*layer, texts, count, *target, workspace);
    project(plan, x, *target);
    attend(plan, texts, count, starts, cosine, sine, *target);
    multiply(layer->output, plan.rows, plan.attended, adds_input ? x : nullptr, y, *target);
    return true;
  });
}

int64_t ck_cuda_feed_forward_step_workspace(
    const ck_feed_forward_layer *layer, int64_t rows, const ck_cuda_target *target) {
  return guarded<int64_t>(-1, [&] { return bytesOfGates(*layer, rows, *target); });
}

bool ck_cuda_feed_forward_step(
    const ck_feed_forward_layer *layer, int64_t rows, const void *x, bool adds_input, void *y, void *workspace,
    const ck_cuda_target *target) {
  return guarded(false, [&] {
    bytesOfGates(*layer, rows, *target);
    const ProductModule &module = productsFor(layer->gate[0], rows, *target);
    ProductArguments arguments{};
    arguments.matrices[0] = asArgument(layer->gate[0]);
    arguments.matrices[1] = asArgument(layer->up[0]);
    arguments.x = x;
    arguments.gain = layer->norm;
    arguments.epsilon = layer->epsilon;
    arguments.y = workspace;
    arguments.inputs = layer->gate[0].inputs;
    arguments.rows = int(rows);
    launch(module, module.gates, tilesOf(layer->gate[0], ProductShape::tile / 2), arguments, target->stream);
    multiply(layer->down[0], rows, workspace, adds_input ? x : nullptr, y, *target);
    return true;
  });
}

const char *ck_cuda_compile_product(
    ck_form form, ck_cuda_element element, int rows, int architecture, int shared_bytes, ck_cuda_kernel kernels[8],
    int *count) {
  return guarded<const char *>(nullptr, [&] {
    thread_local std::string report;
    const uint16_t scale = 0;
    const ck_matrix weight{form, 1, 1, nullptr, form == CK_INT8 || form == CK_INT4 ? &scale : nullptr};
    const ProductShape shape = productShape(weight, rows, element);
    report = compileProduct(shape, Processor{architecture, shared_bytes, 1}).report;
    const int bytes = shape.bytes(rows, shape.roundColumns());
    *count = 0;
    for (const char *name : {"narrowProduct", "narrowProjections", "narrowGates"})
      kernels[(*count)++] = ck_cuda_kernel{name, shape.threads, bytes};
    return report.c_str();
  });
}

const char *ck_cuda_compile_attention(
    int64_t head_size, ck_form form, ck_cuda_element element, int queries, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    thread_local std::string report;
    const AttentionShape shape(int(head_size), int(form), int(element), queries <= 4 ? 4 : 8);
    if (head_size > 256 || form == CK_INT4 || !shape.isPossible())
      throw Failure{"heads of " + std::to_string(head_size) + " channels have no kernel over such a cache"};
    report = compileAttention(shape, Processor{architecture, shared_bytes, 1}).report;
    kernels[0] = ck_cuda_kernel{"cachedAttention", shape.threads, shape.bytes()};
    *count = 1;
    return report.c_str();
  });
}
