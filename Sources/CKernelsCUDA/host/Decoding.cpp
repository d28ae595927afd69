// Decoding on a GPU: products and sublayers of a few rows.
#include <algorithm>

#include "ckernels_cuda.h"
#include "Guard.hpp"
#include "Modules.hpp"

namespace ckernels {
namespace cuda {
namespace {

constexpr int64_t maximumRows = ck_maximum_skinny_rows, maximumInputs = int64_t(1) << 28;

/// The shape of the smallest program for so many rows.
ProductShape productShape(const ck_matrix &weight, int64_t rows, ck_cuda_element element) {
  if (rows < 1 || rows > maximumRows)
    throw Failure{"products of " + std::to_string(rows) + " rows have no kernel: expected 1 to 16"};
  const bool isScaled = weight.format == CK_INT8 || weight.format == CK_INT4;
  if (weight.inputs < 1 || weight.inputs > maximumInputs || weight.outputs < 1 ||
      isScaled != (weight.scales != nullptr))
    throw Failure{
        "a weight [" + std::to_string(weight.outputs) + ", " + std::to_string(weight.inputs) + "] of format " +
        std::to_string(int(weight.format)) + " has no kernel"};
  const int few = element == CK_CUDA_BFLOAT16 ? 8 : 4;
  return {int(weight.format), int(element), rows <= few ? few : int(maximumRows)};
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
  const int64_t maximumBlocks = int64_t(module.multiprocessors) * shape.blocksTogether();
  kernel.launch(int(std::min(tiles, maximumBlocks)), stream, &arguments, shape.bytes(arguments.rows, arguments.slice));
}

int64_t tilesOf(const ck_matrix &weight, int outputs) { return (weight.outputs + outputs - 1) / outputs; }

void multiply(
    const ck_matrix &weight, int64_t rows, const void *x, const void *residual, void *y, const ck_cuda_target &target) {
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

/// The parts of a workspace, one after another, each at a multiple of 16 bytes.
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

/// The division of a sublayer's attention into blocks, and its workspace.
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
      const ck_attention_layer &layer, const ck_kv_view *sequences, int64_t count, const ck_cuda_target &target,
      void *workspace)
      : layer(layer), shape(shapeFor(layer, sequences, count, target)), module(attentionModule(shape, target.device)) {
    const int64_t group = layer.heads / layer.key_value_heads;
    int64_t longest = 0;
    for (int64_t each = 0; each < count; each++) {
      rows += sequences[each].rows;
      tasks += (sequences[each].rows * group + shape.queries - 1) / shape.queries * layer.key_value_heads;
      longest = std::max(longest, sequences[each].capacity);
    }
    // One block for every multiprocessor, unless a block would have fewer positions than its warps load at once. Starts are
    // not known here, so the capacity counts.
    const int64_t useful = std::max<int64_t>(longest / shape.positions(), 1);
    splits =
        int(std::clamp<int64_t>(module.multiprocessors / tasks, 1, std::min<int64_t>(useful, shape.maximumSplits)));
    Workspace parts{static_cast<unsigned char *>(workspace)};
    projected = parts.take<float>(rows * (layer.heads + 2 * layer.key_value_heads) * shape.head * 4);
    attended = parts.take<void *>(rows * layer.heads * shape.head * shape.elementBytes);
    sums = parts.take<float>(tasks * splits * shape.queries * shape.head * 4);
    extremes = parts.take<float>(tasks * splits * shape.queries * 2 * 4);
    counters = parts.take<int>(tasks * 4);
    bytes = parts.used;
  }

  static AttentionShape shapeFor(
      const ck_attention_layer &layer, const ck_kv_view *sequences, int64_t count, const ck_cuda_target &target) {
    const int64_t group = layer.key_value_heads > 0 ? layer.heads / layer.key_value_heads : 0;
    const bool isPossible = count >= 1 && count <= AttentionArguments::maximumSequences && group >= 1 &&
                            group * layer.key_value_heads == layer.heads && layer.head_size >= 2 &&
                            layer.head_size <= 256 && layer.query.outputs == layer.heads * layer.head_size &&
                            layer.key.outputs == layer.key_value_heads * layer.head_size &&
                            layer.value.outputs == layer.key.outputs && layer.output.inputs == layer.query.outputs &&
                            layer.key.inputs == layer.query.inputs && layer.value.inputs == layer.query.inputs &&
                            layer.output.outputs == layer.query.inputs && layer.key.format == layer.query.format &&
                            layer.value.format == layer.query.format;
    if (!isPossible) throw Failure{"such an attention sublayer has no kernel"};
    int64_t maximumQueries = 0, rows = 0;
    for (int64_t each = 0; each < count; each++) {
      const ck_kv_view &view = sequences[each];
      if (view.rows < 1 || view.rows > maximumRows || view.format == CK_INT4 || view.format != sequences[0].format ||
          view.capacity >= INT32_MAX || view.start < 0 || view.start > view.capacity - view.rows)
        throw Failure{"such a cache of keys and values has no kernel"};
      maximumQueries = std::max(maximumQueries, view.rows * group);
      rows += view.rows;
    }
    productShape(layer.query, rows, target.element);
    productShape(layer.output, rows, target.element);
    const AttentionShape shape(
        int(layer.head_size), int(sequences[0].format), int(target.element), maximumQueries <= 4 ? 4 : 8);
    if (!shape.isPossible())
      throw Failure{"heads of " + std::to_string(layer.head_size) + " channels have no kernel over such a cache"};
    return shape;
  }
};

/// Queries, keys and values of normalized rows.
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

void attend(const AttentionPlan &plan, const ck_cuda_attention_sublayer_args &args, const ck_cuda_target &target) {
  AttentionArguments arguments{};
  for (int64_t each = 0; each < args.count; each++) {
    const ck_kv_view &view = args.sequences[each];
    requireAligned({view.keys, view.values});
    arguments.sequences[each] = {
        view.keys,
        view.values,
        view.key_scales,
        view.value_scales,
        args.starts ? reinterpret_cast<const long long *>(args.starts + each) : nullptr,
        view.start,
        view.capacity,
        int(view.rows)};
  }
  arguments.projected = plan.projected;
  arguments.queryNorm = plan.layer.query_norm;
  arguments.keyNorm = plan.layer.key_norm;
  arguments.cosine = args.cosine;
  arguments.sine = args.sine;
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
  if (up.format != gate.format || up.inputs != gate.inputs || up.outputs != gate.outputs ||
      down.inputs != gate.outputs || down.outputs != gate.inputs)
    throw Failure{"such a feed-forward sublayer has no kernel"};
  productsFor(gate, rows, target);
  productsFor(down, rows, target);
  return rows * gate.outputs * int(target.element);
}

}  // namespace
}  // namespace cuda
}  // namespace ckernels

using namespace ckernels::cuda;

bool ck_cuda_skinny_gemm_is_supported(int64_t rows, const ck_matrix *weight, const ck_cuda_target *target) {
  return guarded(false, [&] {
    productsFor(*weight, rows, *target);
    return true;
  });
}

bool ck_cuda_skinny_gemm(const ck_cuda_gemm_args *args, const ck_cuda_target *target) {
  return guarded(false, [&] {
    multiply(*args->weight, args->rows, args->x, nullptr, args->y, *target);
    return true;
  });
}

bool ck_cuda_attention_sublayer_is_supported(
    const ck_attention_layer *layer, int64_t rows, const ck_cuda_target *target) {
  return guarded(false, [&] {
    for (ck_weight_format format : {CK_FLOAT32, CK_BFLOAT16, CK_INT8}) {
      const ck_kv_view view{format, rows, 0, rows, nullptr, nullptr, nullptr, nullptr};
      // Activations of bfloat16 are never cached in float32.
      if (format != CK_FLOAT32 || target->element == CK_CUDA_FLOAT32)
        AttentionPlan::shapeFor(*layer, &view, 1, *target);
    }
    productsFor(layer->query, rows, *target);
    productsFor(layer->output, rows, *target);
    return true;
  });
}

int64_t ck_cuda_attention_sublayer_workspace(
    const ck_attention_layer *layer, const ck_kv_view *sequences, int64_t count, const ck_cuda_target *target) {
  return guarded<int64_t>(-1, [&] { return AttentionPlan(*layer, sequences, count, *target, nullptr).bytes; });
}

bool ck_cuda_attention_sublayer(const ck_cuda_attention_sublayer_args *args, const ck_cuda_target *target) {
  return guarded(false, [&] {
    requireAligned({args->workspace});
    const AttentionPlan plan(*args->layer, args->sequences, args->count, *target, args->workspace);
    project(plan, args->x, *target);
    attend(plan, *args, *target);
    const void *residual = args->adds_input ? args->x : nullptr;
    multiply(args->layer->output, plan.rows, plan.attended, residual, args->y, *target);
    return true;
  });
}

int64_t ck_cuda_feed_forward_sublayer_workspace(
    const ck_feed_forward_layer *layer, int64_t rows, const ck_cuda_target *target) {
  return guarded<int64_t>(-1, [&] { return bytesOfGates(*layer, rows, *target); });
}

bool ck_cuda_feed_forward_sublayer(const ck_cuda_feed_forward_sublayer_args *args, const ck_cuda_target *target) {
  return guarded(false, [&] {
    const ck_feed_forward_layer &layer = *args->layer;
    bytesOfGates(layer, args->rows, *target);
    const ProductModule &module = productsFor(layer.gate[0], args->rows, *target);
    ProductArguments arguments{};
    arguments.matrices[0] = asArgument(layer.gate[0]);
    arguments.matrices[1] = asArgument(layer.up[0]);
    arguments.x = args->x;
    arguments.gain = layer.norm;
    arguments.epsilon = layer.epsilon;
    arguments.y = args->workspace;
    arguments.inputs = layer.gate[0].inputs;
    arguments.rows = int(args->rows);
    launch(module, module.gates, tilesOf(layer.gate[0], ProductShape::tile / 2), arguments, target->stream);
    multiply(layer.down[0], args->rows, args->workspace, args->adds_input ? args->x : nullptr, args->y, *target);
    return true;
  });
}

const char *ck_cuda_compile_product(
    ck_weight_format format, ck_cuda_element element, int rows, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    thread_local std::string report;
    const uint16_t scale = 0;
    const ck_matrix weight{format, 1, 1, nullptr, format == CK_INT8 || format == CK_INT4 ? &scale : nullptr};
    const ProductShape shape = productShape(weight, rows, element);
    report = compileProduct(shape, Processor{architecture, shared_bytes, 1}).report;
    const int bytes = shape.bytes(rows, shape.roundColumns());
    *count = 0;
    for (const char *name : {"skinnyGEMM", "skinnyProjections", "skinnyGates"})
      kernels[(*count)++] = ck_cuda_kernel{name, shape.threads, bytes};
    return report.c_str();
  });
}

const char *ck_cuda_compile_attention(
    int64_t head_size, ck_weight_format format, ck_cuda_element element, int queries, int architecture,
    int shared_bytes, ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    thread_local std::string report;
    const AttentionShape shape(int(head_size), int(format), int(element), queries <= 4 ? 4 : 8);
    if (head_size > 256 || format == CK_INT4 || !shape.isPossible())
      throw Failure{"heads of " + std::to_string(head_size) + " channels have no kernel over such a cache"};
    report = compileAttention(shape, Processor{architecture, shared_bytes, 1}).report;
    kernels[0] = ck_cuda_kernel{"cachedAttention", shape.threads, shape.bytes()};
    *count = 1;
    return report.c_str();
  });
}
