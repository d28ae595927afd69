#include "Program.hpp"

#include <algorithm>

namespace ckernels {
namespace cuda {
namespace {

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"

constexpr char layoutText[] = {
#embed "../device/Layout.cuh"
    , 0};
constexpr char deviceText[] = {
#embed "../device/Device.cuh"
    , 0};
constexpr char numbersText[] = {
#embed "../device/Numbers.cuh"
    , 0};
constexpr char elementsText[] = {
#embed "../device/Elements.cuh"
    , 0};
constexpr char plainProductsText[] = {
#embed "../device/PlainProducts.cuh"
    , 0};
constexpr char tensorProductsText[] = {
#embed "../device/TensorProducts.cuh"
    , 0};
constexpr char coefficientsText[] = {
#embed "../device/Coefficients.cuh"
    , 0};
constexpr char forwardText[] = {
#embed "../device/Forward.cuh"
    , 0};
constexpr char backwardText[] = {
#embed "../device/Backward.cuh"
    , 0};
constexpr char reductionText[] = {
#embed "../device/Reduction.cuh"
    , 0};
constexpr char kernelsText[] = {
#embed "../device/Kernels.cuh"
    , 0};
constexpr char normText[] = {
#embed "../device/Norm.cuh"
    , 0};
constexpr char decodingLayoutText[] = {
#embed "../device/DecodingLayout.cuh"
    , 0};
constexpr char weightsText[] = {
#embed "../device/Weights.cuh"
    , 0};
constexpr char productText[] = {
#embed "../device/Product.cuh"
    , 0};
constexpr char cachedAttentionText[] = {
#embed "../device/CachedAttention.cuh"
    , 0};

#pragma clang diagnostic pop

struct File {
  const char *name;
  const char *text;
};

// In the order of their dependencies.

const std::vector<File> connectionFiles = {
    {"Layout.cuh", layoutText},
    {"Device.cuh", deviceText},
    {"Numbers.cuh", numbersText},
    {"Elements.cuh", elementsText},
    {"PlainProducts.cuh", plainProductsText},
    {"TensorProducts.cuh", tensorProductsText},
    {"Coefficients.cuh", coefficientsText},
    {"Forward.cuh", forwardText},
    {"Backward.cuh", backwardText},
    {"Reduction.cuh", reductionText},
    {"Kernels.cuh", kernelsText},
};

const std::vector<File> normFiles = {
    {"Layout.cuh", layoutText},
    {"Device.cuh", deviceText},
    {"Numbers.cuh", numbersText},
    {"Elements.cuh", elementsText},
    {"Norm.cuh", normText}};

const std::vector<File> productFiles = {
    {"DecodingLayout.cuh", decodingLayoutText},
    {"Device.cuh", deviceText},
    {"Numbers.cuh", numbersText},
    {"Weights.cuh", weightsText},
    {"Product.cuh", productText}};

const std::vector<File> attentionFiles = {
    {"DecodingLayout.cuh", decodingLayoutText},
    {"Device.cuh", deviceText},
    {"Numbers.cuh", numbersText},
    {"CachedAttention.cuh", cachedAttentionText}};

std::string source(const std::vector<File> &files) {
  std::string all;
  for (const File &file : files) all += "#line 1 \"" + std::string(file.name) + "\"\n" + file.text;
  return all;
}

std::string define(const char *name, int value) { return "-DWB_" + std::string(name) + "=" + std::to_string(value); }

std::vector<std::string> options(const Processor &processor, const std::vector<std::string> &definitions) {
  std::vector<std::string> all = {
      "-arch=sm_" + std::to_string(processor.architecture), "--std=c++17", "--device-as-default-execution-space",
      "--ptxas-options=-v"};
  all.insert(all.end(), definitions.begin(), definitions.end());
  return all;
}

std::vector<std::string> options(const Shape &shape, const Processor &processor) {
  return options(
      processor, {define("RATE", shape.m), define("SLOTS", shape.n), define("WIDTH", shape.C),
                  define("ELEMENT_BYTES", shape.elementBytes), define("DYNAMIC", shape.isDynamic)});
}

Compiled compile(const std::vector<File> &files, const std::vector<std::string> &options, const Processor &processor) {
  const Compiler &nvrtc = compiler();
  auto check = [&](int result) {
    if (result) throw Failure{std::string("the compiler for kernels failed: ") + nvrtc.getErrorString(result)};
  };
  Compiler::Program program = nullptr;
  check(nvrtc.createProgram(&program, source(files).c_str(), "kernels.cu", 0, nullptr, nullptr));
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

Choices::Choices(const Kind &kind, const Processor &processor)
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

Compiled compile(const Choices &choices, const Processor &processor) {
  std::vector<std::string> all = options(choices.shape, processor);
  all.insert(
      all.end(), {define("FORWARD_STAGES", choices.forwardStages), define("BACKWARD_STAGES", choices.backwardStages),
                  define("SHARED_SUMS", choices.keepsSums), define("FUSES_FORWARD", choices.fusesForward),
                  define("FUSES_BACKWARD", choices.fusesBackward), define("SHARED_BYTES", processor.sharedBytes)});
  return compile(connectionFiles, all, processor);
}

Compiled compileNorm(const Shape &shape, const Processor &processor) {
  // A lane sums up the weight's gradient of all its channels in registers.
  constexpr int most = 64;
  if (normPieces(shape.C, shape.vector()) * shape.vector() > most)
    throw Failure{"rows of " + std::to_string(shape.C) + " channels are too wide for the kernels that normalize them"};
  return compile(normFiles, options(shape, processor), processor);
}

Compiled compileProduct(const ProductShape &shape, const Processor &processor) {
  return compile(
      productFiles,
      options(
          processor,
          {define("FORMAT", shape.format), define("ELEMENT_BYTES", shape.elementBytes), define("ROWS", shape.rows)}),
      processor);
}

Compiled compileAttention(const AttentionShape &shape, const Processor &processor) {
  return compile(
      attentionFiles,
      options(
          processor, {define("HEAD", shape.head), define("FORMAT", shape.format),
                      define("ELEMENT_BYTES", shape.elementBytes), define("QUERIES", shape.queries)}),
      processor);
}

}  // namespace cuda
}  // namespace ckernels
