// The attention sublayer of decoding on a GPU: projections, attention over the cache, and the output's product.
#include <algorithm>

#include "ckernels_cuda.h"
#include "Products.hpp"

namespace ckernels::cuda {
namespace {

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
  float *projected;
  AttentionArguments arguments{};  ///< all but sequences and angles
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
    const int splits =
        int(std::clamp<int64_t>(module.multiprocessors / tasks, 1, std::min<int64_t>(useful, shape.maximumSplits)));
    Workspace parts{static_cast<unsigned char *>(workspace)};
    projected = parts.take<float>(rows * (layer.heads + 2 * layer.key_value_heads) * shape.head * 4);
    arguments.projected = projected;
    arguments.queryNorm = layer.query_norm;
    arguments.keyNorm = layer.key_norm;
    arguments.attentionOutput = parts.take<void>(rows * layer.heads * shape.head * shape.elementBytes);
    arguments.sums = parts.take<float>(tasks * splits * shape.queries * shape.head * 4);
    arguments.extremes = parts.take<float>(tasks * splits * shape.queries * 2 * 4);
    arguments.counters = parts.take<int>(tasks * 4);
    arguments.heads = int(layer.heads);
    arguments.keyHeads = int(layer.key_value_heads);
    arguments.splits = splits;
    arguments.epsilon = layer.epsilon;
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
  launch(
      &ProductModule::projections, {&layer.query, &layer.key, &layer.value}, plan.rows,
      {.x = x,
       .gain = layer.norm,
       .y = plan.projected,
       .counters = plan.arguments.counters,
       .counterCount = int(plan.tasks),
       .epsilon = layer.epsilon},
      target);
}

void attend(const AttentionPlan &plan, const ck_cuda_attention_sublayer_args &args, const ck_cuda_target &target) {
  AttentionArguments arguments = plan.arguments;
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
  arguments.cosine = args.cosine;
  arguments.sine = args.sine;
  plan.module.attention.launch(int(plan.tasks) * arguments.splits, target.stream, &arguments);
}

}  // namespace
}  // namespace ckernels::cuda

using namespace ckernels::cuda;

bool ck_cuda_attention_sublayer_is_supported(
    const ck_attention_layer *layer, int64_t rows, const ck_cuda_target *target) {
  return succeeds([&] {
    for (ck_weight_format format : {CK_FLOAT32, CK_BFLOAT16, CK_INT8}) {
      const ck_kv_view view{format, rows, 0, rows, nullptr, nullptr, nullptr, nullptr};
      // Activations of bfloat16 are never cached in float32.
      if (format != CK_FLOAT32 || target->element == CK_CUDA_FLOAT32)
        AttentionPlan::shapeFor(*layer, &view, 1, *target);
    }
    productsFor(layer->query, rows, *target);
    productsFor(layer->output, rows, *target);
  });
}

int64_t ck_cuda_attention_sublayer_workspace(
    const ck_attention_layer *layer, const ck_kv_view *sequences, int64_t count, const ck_cuda_target *target) {
  return guarded<int64_t>(-1, [&] { return AttentionPlan(*layer, sequences, count, *target, nullptr).bytes; });
}

bool ck_cuda_attention_sublayer(const ck_cuda_attention_sublayer_args *args, const ck_cuda_target *target) {
  return succeeds([&] {
    requireAligned({args->workspace});
    const AttentionPlan plan(*args->layer, args->sequences, args->count, *target, args->workspace);
    project(plan, args->x, *target);
    attend(plan, *args, *target);
    const void *residual = args->adds_input ? args->x : nullptr;
    multiply(args->layer->output, plan.rows, plan.arguments.attentionOutput, residual, args->y, *target);
  });
}

const char *ck_cuda_compile_attention(
    int64_t head_size, ck_weight_format format, ck_cuda_element element, int queries, int architecture,
    int shared_bytes, ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    const AttentionShape shape(int(head_size), int(format), int(element), queries <= 4 ? 4 : 8);
    if (head_size > 256 || format == CK_INT4 || !shape.isPossible())
      throw Failure{"heads of " + std::to_string(head_size) + " channels have no kernel over such a cache"};
    return describe(compileAttention(shape, Processor{architecture, shared_bytes, 1}), kernels, count);
  });
}
