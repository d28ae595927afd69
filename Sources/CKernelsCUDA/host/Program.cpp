#include "Program.hpp"

#include <algorithm>

namespace ckernels::cuda {
namespace {

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"

constexpr char connectionLayout[] = {
#embed "../device/ConnectionLayout.cuh"
    , 0};
constexpr char device[] = {
#embed "../device/Device.cuh"
    , 0};
constexpr char numerics[] = {
#embed "../device/Numerics.cuh"
    , 0};
constexpr char stateRows[] = {
#embed "../device/StateRows.cuh"
    , 0};
constexpr char plainProducts[] = {
#embed "../device/PlainProducts.cuh"
    , 0};
constexpr char tensorProducts[] = {
#embed "../device/TensorProducts.cuh"
    , 0};
constexpr char coefficients[] = {
#embed "../device/Coefficients.cuh"
    , 0};
constexpr char combine[] = {
#embed "../device/Combine.cuh"
    , 0};
constexpr char forward[] = {
#embed "../device/Forward.cuh"
    , 0};
constexpr char gradientSums[] = {
#embed "../device/GradientSums.cuh"
    , 0};
constexpr char backward[] = {
#embed "../device/Backward.cuh"
    , 0};
constexpr char reduction[] = {
#embed "../device/Reduction.cuh"
    , 0};
constexpr char connectionKernels[] = {
#embed "../device/ConnectionKernels.cuh"
    , 0};
constexpr char norm[] = {
#embed "../device/Norm.cuh"
    , 0};
constexpr char decodingLayout[] = {
#embed "../device/DecodingLayout.cuh"
    , 0};
constexpr char weights[] = {
#embed "../device/Weights.cuh"
    , 0};
constexpr char productSums[] = {
#embed "../device/ProductSums.cuh"
    , 0};
constexpr char product[] = {
#embed "../device/Product.cuh"
    , 0};
constexpr char partialSoftmax[] = {
#embed "../device/PartialSoftmax.cuh"
    , 0};
constexpr char cachedAttention[] = {
#embed "../device/CachedAttention.cuh"
    , 0};

#pragma clang diagnostic pop

// The files that a program includes, by name; two of the same index belong together.
constexpr const char *fileNames[] = {
    "ConnectionLayout.cuh", "Device.cuh",       "Numerics.cuh",          "StateRows.cuh",      "PlainProducts.cuh",
    "TensorProducts.cuh",   "Coefficients.cuh", "Combine.cuh",           "Forward.cuh",        "GradientSums.cuh",
    "Backward.cuh",         "Reduction.cuh",    "ConnectionKernels.cuh", "Norm.cuh",           "DecodingLayout.cuh",
    "Weights.cuh",          "ProductSums.cuh",  "Product.cuh",           "PartialSoftmax.cuh", "CachedAttention.cuh"};
constexpr const char *fileTexts[] = {
    connectionLayout, device,  numerics,     stateRows, plainProducts,  tensorProducts,    coefficients,
    combine,          forward, gradientSums, backward,  reduction,      connectionKernels, norm,
    decodingLayout,   weights, productSums,  product,   partialSoftmax, cachedAttention};
constexpr int fileCount = sizeof(fileTexts) / sizeof(fileTexts[0]);
static_assert(sizeof(fileNames) == sizeof(fileTexts), "a file has no name");

/// The macros WB_… of a program.
typedef std::vector<std::pair<const char *, int>> Macros;

Macros macros(const Shape &shape) {
  return {
      {"RATE", shape.m},
      {"SLOTS", shape.n},
      {"WIDTH", shape.C},
      {"ELEMENT_BYTES", shape.elementBytes},
      {"DYNAMIC", shape.isDynamic}};
}

Compiled compile(const char *text, const Macros &macros, const Processor &processor) {
  std::vector<std::string> options = {
      "-arch=sm_" + std::to_string(processor.architecture), "--std=c++17", "--device-as-default-execution-space",
      "--ptxas-options=-v"};
  for (const auto &[name, value] : macros) options.push_back("-DWB_" + std::string(name) + "=" + std::to_string(value));
  const Compiler &nvrtc = compiler();
  auto check = [&](int result) {
    if (result) throw Failure{std::string("the compiler for kernels failed: ") + nvrtc.getErrorString(result)};
  };
  Compiler::Program program = nullptr;
  check(nvrtc.createProgram(&program, text, "kernels.cu", fileCount, fileTexts, fileNames));
  std::vector<const char *> pointers;
  for (const std::string &text : options) pointers.push_back(text.c_str());
  const int result = nvrtc.compileProgram(program, int(pointers.size()), pointers.data());
  Compiled compiled;
  std::size_t size = 0;
  if (nvrtc.getProgramLogSize(program, &size) == 0 && size > 0) {
    compiled.report.resize(size);
    nvrtc.getProgramLog(program, compiled.report.data());
    compiled.report.resize(size - 1);
  }
  if (result == 0 && nvrtc.getCUBINSize(program, &size) == 0) {
    compiled.code.resize(size);
    check(nvrtc.getCUBIN(program, compiled.code.data()));
  }
  nvrtc.destroyProgram(&program);
  if (result)
    throw Failure{
        "the kernels do not compile for sm_" + std::to_string(processor.architecture) + ": " + compiled.report};
  return compiled;
}

}  // namespace

SharedMemoryPlan::SharedMemoryPlan(const Kind &kind, const Processor &processor)
    : shape(kind.m, kind.n, kind.C, kind.elementBytes, kind.isDynamic) {
  const int limit = processor.sharedBytes;
  // Two stages overlap copies with computation; without them, several blocks on a multiprocessor do where they fit.
  auto fits = [&](bool isFused, int stages) {
    forwardStages = stages;
    fusesForward = isFused;
    return (!isFused || forwardBytes(true, true) <= limit) &&
           std::max(forwardBytes(true, false), forwardBytes(false, true)) <= limit;
  };
  auto fitsBackward = [&](bool isFused, int stages, bool sums) {
    backwardStages = stages;
    keepsSums = sums;
    fusesBackward = isFused;
    return std::max(backwardBytes(true, isFused), backwardBytes(false, true)) <= limit;
  };
  const bool isPossible =
      (fits(true, 2) || fits(true, 1) || fits(false, 2) || fits(false, 1)) &&
      (fitsBackward(true, 2, true) || fitsBackward(true, 1, true) || fitsBackward(true, 1, false) ||
       fitsBackward(false, 2, true) || fitsBackward(false, 1, true) || fitsBackward(false, 1, false));
  if (!isPossible)
    throw Failure{
        "a token's state of " + std::to_string(shape.n) + " slots of " + std::to_string(shape.C) +
        " channels leaves too little of the GPU's " + std::to_string(limit) + " bytes of shared memory"};
}

Compiled compile(const SharedMemoryPlan &plan, const Processor &processor) {
  Macros all = macros(plan.shape);
  all.insert(
      all.end(), {{"FORWARD_STAGES", plan.forwardStages},
                  {"BACKWARD_STAGES", plan.backwardStages},
                  {"SHARED_SUMS", plan.keepsSums},
                  {"FUSES_FORWARD", plan.fusesForward},
                  {"FUSES_BACKWARD", plan.fusesBackward},
                  {"SHARED_BYTES", processor.sharedBytes}});
  Compiled compiled = compile(connectionKernels, all, processor);
  auto add = [&](const char *name, int bytes) { compiled.kernels.push_back({name, plan.shape.threads(), bytes}); };
  add("connectionRead", plan.forwardBytes(false, true));
  add("connectionWrite", plan.forwardBytes(true, false));
  add("connectionWriteBackward", plan.backwardBytes(false, true));
  add("connectionBackward", plan.backwardBytes(true, false));
  add("connectionAddBlocks", 0);
  add("connectionAddToGradients", 0);
  if (plan.fusesForward) add("connectionWriteRead", plan.forwardBytes(true, true));
  if (plan.fusesBackward) add("connectionBackwardWriteBackward", plan.backwardBytes(true, true));
  return compiled;
}

Compiled compileNorm(const Shape &shape, const Processor &processor) {
  // A lane sums up the weight's gradient of all its channels in registers.
  constexpr int most = 64;
  if (normPieces(shape.C, shape.vector()) * shape.vector() > most)
    throw Failure{"rows of " + std::to_string(shape.C) + " channels are too wide for the kernels that normalize them"};
  Compiled compiled = compile(norm, macros(shape), processor);
  const int threads = shape.threads();
  compiled.kernels = {
      {"normForward", threads, 0},
      {"normBackward", threads, shape.C * int(sizeof(float))},
      {"normAddToGradients", threads, 0}};
  return compiled;
}

Compiled compileProduct(const ProductShape &shape, int sharedBytes, const Processor &processor) {
  const Macros macros = {{"FORMAT", shape.format}, {"ELEMENT_BYTES", shape.elementBytes}, {"ROWS", shape.rows}};
  Compiled compiled = compile(product, macros, processor);
  for (const char *name : {"skinnyGEMM", "skinnyProjections", "skinnyGates"})
    compiled.kernels.push_back({name, shape.threads, sharedBytes});
  return compiled;
}

Compiled compileAttention(const AttentionShape &shape, const Processor &processor) {
  const Macros macros = {
      {"HEAD", shape.head},
      {"FORMAT", shape.format},
      {"ELEMENT_BYTES", shape.elementBytes},
      {"QUERIES", shape.queries}};
  Compiled compiled = compile(cachedAttention, macros, processor);
  compiled.kernels = {{"cachedAttention", shape.threads, shape.bytes()}};
  return compiled;
}

const char *describe(const Compiled &compiled, ck_cuda_kernel kernels[8], int *count) {
  thread_local std::string report;
  report = compiled.report;
  *count = int(compiled.kernels.size());
  std::copy(compiled.kernels.begin(), compiled.kernels.end(), kernels);
  return report.c_str();
}

}  // namespace ckernels::cuda
