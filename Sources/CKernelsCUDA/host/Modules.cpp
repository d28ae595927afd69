#include "Modules.hpp"

#include <map>
#include <mutex>
#include <variant>

namespace ckernels::cuda {
namespace {

/// Numbers of cuda.h.
enum Attribute { multiprocessorCount = 16, majorCapability = 75, minorCapability = 76, sharedBytesOfBlock = 97 };
constexpr int dynamicSharedBytes = 8;

struct Device {
  void *context = nullptr;
  Processor processor{};

  explicit Device(int number) {
    const Driver &cuda = driver();
    int handle = 0, major = 0, minor = 0;
    cuda.check(cuda.deviceGet(&handle, number), "cuDeviceGet");
    cuda.check(cuda.primaryContextRetain(&context, handle), "cuDevicePrimaryCtxRetain");
    auto read = [&](int &value, Attribute attribute) {
      cuda.check(cuda.deviceGetAttribute(&value, attribute, handle), "cuDeviceGetAttribute");
    };
    read(major, majorCapability);
    read(minor, minorCapability);
    read(processor.sharedBytes, sharedBytesOfBlock);
    read(processor.multiprocessors, multiprocessorCount);
    processor.architecture = major * 10 + minor;
    if (processor.architecture < 80)
      throw Failure{
          "the GPU has compute capability " + std::to_string(major) + "." + std::to_string(minor) +
          ": the kernels need 8.0 or later"};
  }

  void makeCurrent() const {
    const Driver &cuda = driver();
    void *current = nullptr;
    cuda.check(cuda.contextGetCurrent(&current), "cuCtxGetCurrent");
    if (current != context) cuda.check(cuda.contextSetCurrent(context), "cuCtxSetCurrent");
  }
};

/// Loads a program on a GPU: its kernels by their names.
std::map<std::string, Kernel> load(const Compiled &compiled, const Device &device) {
  const Driver &cuda = driver();
  void *library = nullptr;
  cuda.check(cuda.moduleLoadData(&library, compiled.code.data()), "cuModuleLoadData");
  std::map<std::string, Kernel> kernels;
  for (const ck_cuda_kernel &compiledKernel : compiled.kernels) {
    const char *name = compiledKernel.name;
    Kernel &kernel = kernels[name];
    kernel.threads = compiledKernel.threads;
    kernel.sharedBytes = compiledKernel.shared_bytes;
    cuda.check(cuda.moduleGetFunction(&kernel.function, library, name), name);
    cuda.check(cuda.functionSetAttribute(kernel.function, dynamicSharedBytes, kernel.sharedBytes), name);
    int blocks = 0;
    cuda.check(
        cuda.maximumActiveBlocks(&blocks, kernel.function, kernel.threads, std::size_t(kernel.sharedBytes)), name);
    if (blocks < 1) throw Failure{std::string("the GPU has too little shared memory for the kernel ") + name};
    kernel.blocksAtOnce = blocks * device.processor.multiprocessors;
  }
  return kernels;
}

std::mutex mutex;
std::map<int, std::variant<Device, Failure>> devices;

/// The value of `key` in `values`, created by `make` the first time; a failure to create it is thrown every time.
template <class Key, class Value, class Make>
const Value &remembered(std::map<Key, std::variant<Value, Failure>> &values, const Key &key, Make make) {
  auto found = values.find(key);
  if (found == values.end()) {
    try {
      found = values.emplace(key, make()).first;
    } catch (const Failure &failure) {
      found = values.emplace(key, failure).first;
    }
  }
  if (const Failure *failure = std::get_if<Failure>(&found->second)) throw *failure;
  return std::get<Value>(found->second);
}

/// The module of `key` on the GPU of this number, created by `make` the first time. Makes that GPU the thread's current one.
template <class Value, class Key, class Make>
const Value &moduleOf(const Key &key, int number, Make make) {
  static std::map<std::pair<int, Key>, std::variant<Value, Failure>> modules;
  std::lock_guard<std::mutex> lock(mutex);
  const Device &device = remembered(devices, number, [&] { return Device(number); });
  device.makeCurrent();
  return remembered(modules, std::make_pair(number, key), [&] { return make(device); });
}

}  // namespace

void Kernel::launch(int blocks, void *stream, const void *arguments, int bytes) const {
  const Driver &cuda = driver();
  void *parameters[] = {const_cast<void *>(arguments)};
  cuda.check(
      cuda.launchKernel(
          function, unsigned(blocks), 1, 1, unsigned(threads), 1, 1, unsigned(bytes), stream, parameters, nullptr),
      "cuLaunchKernel");
}

const Module &module(const Kind &kind, int number) {
  return moduleOf<Module>(kind.key(), number, [&](const Device &device) -> Module {
    const SharedMemoryPlan plan(kind, device.processor);
    auto kernels = load(compile(plan, device.processor), device);
    // A fused kernel that does not fit is empty.
    return {
        plan,
        kernels["connectionRead"],
        kernels["connectionWrite"],
        kernels["connectionWriteRead"],
        kernels["connectionWriteBackward"],
        kernels["connectionBackward"],
        kernels["connectionBackwardWriteBackward"],
        kernels["connectionAddBlocks"],
        kernels["connectionAddToGradients"]};
  });
}

const NormModule &normModule(int width, int elementBytes, int number) {
  return moduleOf<NormModule>(std::make_tuple(width, elementBytes), number, [&](const Device &device) -> NormModule {
    auto kernels = load(compileNorm(Shape(1, 1, width, elementBytes, false), device.processor), device);
    return {kernels["normForward"], kernels["normBackward"], kernels["normAddToGradients"]};
  });
}

const ProductModule &productModule(const ProductShape &shape, int number) {
  const auto key = std::make_tuple(shape.format, shape.elementBytes, shape.rows);
  return moduleOf<ProductModule>(key, number, [&](const Device &device) -> ProductModule {
    // The system reserves a kibibyte of shared memory for each block.
    const int bytes = device.processor.sharedBytes / shape.blocksTogether() - (1 << 10);
    auto kernels = load(compileProduct(shape, bytes, device.processor), device);
    return {
        shape, device.processor.multiprocessors, kernels["skinnyGEMM"], kernels["skinnyProjections"],
        kernels["skinnyGates"]};
  });
}

const AttentionModule &attentionModule(const AttentionShape &shape, int number) {
  const auto key = std::make_tuple(shape.head, shape.format, shape.elementBytes, shape.queries);
  return moduleOf<AttentionModule>(key, number, [&](const Device &device) -> AttentionModule {
    auto kernels = load(compileAttention(shape, device.processor), device);
    return {shape, device.processor.multiprocessors, kernels["cachedAttention"]};
  });
}

}  // namespace ckernels::cuda
