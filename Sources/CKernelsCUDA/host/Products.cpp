// Products of a few rows on a GPU, and the feed-forward sublayer, which is two of them.
#include "Products.hpp"

#include <algorithm>

#include "ckernels_cuda.h"

namespace ckernels::cuda {

ProductShape productShape(const ck_matrix &weight, int64_t rows, ck_cuda_element element) {
  constexpr int64_t maximumInputs = int64_t(1) << 28;
  if (rows < 1 || rows > maximumRows)
    throw Failure{"products of " + std::to_string(rows) + " rows have no kernel: expected 1 to 16"};
  if (weight.inputs < 1 || weight.inputs > maximumInputs || weight.outputs < 1 ||
      ck_has_scales(weight.format) != (weight.scales != nullptr))
    throw Failure{
        "a weight [" + std::to_string(weight.outputs) + ", " + std::to_string(weight.inputs) + "] of format " +
        std::to_string(int(weight.format)) + " has no kernel"};
  const int few = element == CK_CUDA_BFLOAT16 ? 8 : 4;
  return {int(weight.format), int(element), rows <= few ? few : int(maximumRows)};
}

const ProductModule &productsFor(const ck_matrix &weight, int64_t rows, const ck_cuda_target &target) {
  return productModule(productShape(weight, rows, target.element), target.device);
}

void launch(
    Kernel ProductModule::*kernel, std::initializer_list<const ck_matrix *> weights, int64_t rows,
    ProductArguments arguments, const ck_cuda_target &target) {
  const ck_matrix &first = **weights.begin();
  const ProductModule &module = productsFor(first, rows, target);
  const ProductShape &shape = module.shape;
  int64_t tiles = 0;
  ProductMatrix *matrix = arguments.matrices;
  for (const ck_matrix *weight : weights) {
    requireAligned({weight->values, weight->scales});
    *matrix++ = {weight->values, weight->scales, weight->outputs};
    tiles += ceiling(weight->outputs, ProductShape::tile);
  }
  // A tile of the gates has rows of both weights.
  if (kernel == &ProductModule::gates) tiles = ceiling(first.outputs, ProductShape::tile / 2);
  requireAligned({arguments.x, arguments.residual, arguments.y, arguments.gain});
  arguments.inputs = first.inputs;
  arguments.rows = int(rows);
  arguments.slice = shape.sliceFor(arguments.rows, arguments.inputs, (module.*kernel).sharedBytes);
  if (arguments.slice < 1) throw Failure{"the GPU has too little shared memory for products of a few rows"};
  const int64_t maximumBlocks = int64_t(module.multiprocessors) * shape.blocksTogether();
  (module.*kernel)
      .launch(
          int(std::min(tiles, maximumBlocks)), target.stream, &arguments, shape.bytes(arguments.rows, arguments.slice));
}

void multiply(
    const ck_matrix &weight, int64_t rows, const void *x, const void *residual, void *y, const ck_cuda_target &target) {
  launch(&ProductModule::plain, {&weight}, rows, {.x = x, .residual = residual, .y = y}, target);
}

namespace {

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
}  // namespace ckernels::cuda

using namespace ckernels::cuda;

bool ck_cuda_skinny_gemm_is_supported(int64_t rows, const ck_matrix *weight, const ck_cuda_target *target) {
  return succeeds([&] { productsFor(*weight, rows, *target); });
}

bool ck_cuda_skinny_gemm(const ck_cuda_gemm_args *args, const ck_cuda_target *target) {
  return succeeds([&] { multiply(*args->weight, args->rows, args->x, nullptr, args->y, *target); });
}

int64_t ck_cuda_feed_forward_sublayer_workspace(
    const ck_feed_forward_layer *layer, int64_t rows, const ck_cuda_target *target) {
  return guarded<int64_t>(-1, [&] { return bytesOfGates(*layer, rows, *target); });
}

bool ck_cuda_feed_forward_sublayer(const ck_cuda_feed_forward_sublayer_args *args, const ck_cuda_target *target) {
  return succeeds([&] {
    const ck_feed_forward_layer &layer = *args->layer;
    bytesOfGates(layer, args->rows, *target);
    launch(
        &ProductModule::gates, {layer.gate, layer.up}, args->rows,
        {.x = args->x, .gain = layer.norm, .y = args->workspace, .epsilon = layer.epsilon}, *target);
    multiply(layer.down[0], args->rows, args->workspace, args->adds_input ? args->x : nullptr, args->y, *target);
  });
}

const char *ck_cuda_compile_product(
    ck_weight_format format, ck_cuda_element element, int rows, int architecture, int shared_bytes,
    ck_cuda_kernel kernels[8], int *count) {
  return guarded<const char *>(nullptr, [&] {
    const uint16_t scale = 0;
    const ck_matrix weight{format, 1, 1, nullptr, ck_has_scales(format) ? &scale : nullptr};
    const ProductShape shape = productShape(weight, rows, element);
    const int bytes = shape.bytes(rows, shape.roundColumns());
    return describe(compileProduct(shape, bytes, Processor{architecture, shared_bytes, 1}), kernels, count);
  });
}
