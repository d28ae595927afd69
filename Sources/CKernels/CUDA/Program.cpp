#include "Program.hpp"

#include <algorithm>

namespace ckernels {
namespace cuda {
namespace {

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"

constexpr char layoutText[] = {
#embed "Source/Layout.cuh"
    , 0};
constexpr char deviceText[] = {
#embed "Source/Device.cuh"
    , 0};
constexpr char elementsText[] = {
#embed "Source/Elements.cuh"
    , 0};
constexpr char plainProductsText[] = {
#embed "Source/PlainProducts.cuh"
    , 0};
constexpr char tensorProductsText[] = {
#embed "Source/TensorProducts.cuh"
    , 0};
constexpr char coefficientsText[] = {
#embed "Source/Coefficients.cuh"
    , 0};
constexpr char forwardText[] = {
#embed "Source/Forward.cuh"
    , 0};
constexpr char backwardText[] = {
#embed "Source/Backward.cuh"
    , 0};
constexpr char reductionText[] = {
#embed "Source/Reduction.cuh"
    , 0};
constexpr char kernelsText[] = {
#embed "Source/Kernels.cuh"
    , 0};

#pragma clang diagnostic pop

struct File {
  const char *name;
  const char *text;
};

/// In the order in which they build on each other.
constexpr File files[] = {
    {"Layout.cuh", layoutText},
    {"Device.cuh", deviceText},
    {"Elements.cuh", elementsText},
    {"PlainProducts.cuh", plainProductsText},
    {"TensorProducts.cuh", tensorProductsText},
    {"Coefficients.cuh", coefficientsText},
    {"Forward.cuh", forwardText},
    {"Backward.cuh", backwardText},
    {"Reduction.cuh", reductionText},
    {"Kernels.cuh", kernelsText},
};

std::string source() {
  std::string all;
  for (const File &file : files) all += "#line 1 \"" + std::string(file.name) + "\"\n" + file.text;
  return all;
}

std::vector<std::string> options(const Choices &choices, const Processor &processor) {
  const Shape &shape = choices.shape;
  auto define = [](const char *name, int value) { return "-DWB_" + std::string(name) + "=" + std::to_string(value); };
  return {"-arch=sm_" + std::to_string(processor.architecture),
          "--std=c++17",
          "--device-as-default-execution-space",
          "--ptxas-options=-v",
          define("RATE", shape.m),
          define("SLOTS", shape.n),
          define("WIDTH", shape.C),
          define("ELEMENT_BYTES", shape.elementBytes),
          define("DYNAMIC", shape.isDynamic),
          define("FORWARD_STAGES", choices.forwardStages),
          define("BACKWARD_STAGES", choices.backwardStages),
          define("SHARED_SUMS", choices.keepsSums),
          define("FUSES_FORWARD", choices.fusesForward),
          define("FUSES_BACKWARD", choices.fusesBackward),
          define("SHARED_BYTES", processor.sharedBytes)};
}

}  // namespace

Choices::Choices(const Kind &kind, const Processor &processor)
    : shape(kind.m, kind.n, kind.C, kind.elementBytes, kind.isDynamic) {
  const int limit = processor.sharedBytes;
  // Two stages hide the way to memory behind the work; without them, blocks side by side still do where they fit.
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
  const Compiler &nvrtc = compiler();
  auto check = [&](int result) {
    if (result) throw Failure{std::string("the compiler for kernels failed: ") + nvrtc.getErrorString(result)};
  };
  Compiler::Program program = nullptr;
  check(nvrtc.createProgram(&program, source().c_str(), "connection.cu", 0, nullptr, nullptr));
  const std::vector<std::string> texts = options(choices, processor);
  std::vector<const char *> pointers;
  for (const std::string &text : texts) pointers.push_back(text.c_str());
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

}  // namespace cuda
}  // namespace ckernels
