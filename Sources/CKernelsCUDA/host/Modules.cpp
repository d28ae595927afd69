#include "Modules.hpp"

#include <map>
#include <memory>
#include <mutex>

namespace ckernels {
namespace cuda {
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

Kernel find(void *library, const char *name, int threads, int sharedBytes, const Device &device) {
  const Driver &cuda = driver();
  Kernel kernel;
  kernel.threads = threads;
  kernel.sharedBytes = sharedBytes;
  cuda.check(cuda.moduleGetFunction(&kernel.function, library, name), name);
  cuda.check(cuda.functionSetAttribute(kernel.function, dynamicSharedBytes, sharedBytes), name);
  int blocks = 0;
  cuda.check(cuda.maximumActiveBlocks(&blocks, kernel.function, threads, std::size_t(sharedBytes)), name);
  if (blocks < 1) throw Failure{std::string("the GPU has too little shared memory for the kernel ") + name};
  kernel.blocksAtOnce = blocks * device.processor.multiprocessors;
  return kernel;
}

Module load(const Kind &kind, const Device &device) {
  const Driver &cuda = driver();
  const Choices choices(kind, device.processor);
  const Compiled compiled = compile(choices, device.processor);
  void *library = nullptr;
  cuda.check(cuda.moduleLoadData(&library, compiled.code.data()), "cuModuleLoadData");
  Module module{choices, {}, {}, {}, {}, {}, {}, {}, {}};
  auto get = [&](const char *name, int bytes) { return find(library, name, choices.shape.threads(), bytes, device); };
  module.read = get("connectionRead", choices.forwardBytes(false, true));
  module.write = get("connectionWrite", choices.forwardBytes(true, false));
  module.writeBackward = get("connectionWriteBackward", choices.backwardBytes(false, true));
  module.backward = get("connectionBackward", choices.backwardBytes(true, false));
  module.addBlocks = get("connectionAddBlocks", 0);
  module.deliver = get("connectionDeliver", 0);
  if (choices.fusesForward) module.writeRead = get("connectionWriteRead", choices.forwardBytes(true, true));
  if (choices.fusesBackward)
    module.backwardWriteBackward = get("connectionBackwardWriteBackward", choices.backwardBytes(true, true));
  return module;
}

NormModule loadNorm(const Shape &shape, const Device &device) {
  const Compiled compiled = compileNorm(shape, device.processor);
  void *library = nullptr;
  driver().check(driver().moduleLoadData(&library, compiled.code.data()), "cuModuleLoadData");
  auto get = [&](const char *name, int bytes) { return find(library, name, shape.threads(), bytes, device); };
  return {get("normForward", 0), get("normBackward", shape.C * int(sizeof(float))), get("normDeliver", 0)};
}

ProductModule loadProduct(const ProductShape &shape, const Device &device) {
  const Compiled compiled = compileProduct(shape, device.processor);
  void *library = nullptr;
  driver().check(driver().moduleLoadData(&library, compiled.code.data()), "cuModuleLoadData");
  // The system reserves a kibibyte of shared memory for each block.
  const int bytes = device.processor.sharedBytes / shape.blocksTogether() - (1 << 10);
  auto get = [&](const char *name) { return find(library, name, shape.threads, bytes, device); };
  return {shape, device.processor.multiprocessors, get("skinnyGEMM"), get("skinnyProjections"), get("skinnyGates")};
}

AttentionModule loadAttention(const AttentionShape &shape, const Device &device) {
  const Compiled compiled = compileAttention(shape, device.processor);
  void *library = nullptr;
  driver().check(driver().moduleLoadData(&library, compiled.code.data()), "cuModuleLoadData");
  return {
      shape, device.processor.multiprocessors, find(library, "cachedAttention", shape.threads, shape.bytes(), device)};
}

/// The result of a computation's first run, which may be a failure.
template <class Value>
struct Once {
  std::unique_ptr<Value> value;
  Failure failure;

  template <class Make>
  explicit Once(Make make) {
    try {
      value = std::make_unique<Value>(make());
    } catch (const Failure &thrown) {
      failure = thrown;
    }
  }

  const Value &get() const {
    if (!value) throw failure;
    return *value;
  }
};

std::mutex mutex;

/// Makes a GPU the thread's current one. To be called with the mutex held.
const Device &deviceAt(int number) {
  static std::map<int, Once<Device>> devices;
  auto found = devices.find(number);
  if (found == devices.end()) found = devices.emplace(number, Once<Device>([&] { return Device(number); })).first;
  found->second.get().makeCurrent();
  return found->second.get();
}

/// The value of `key` in `values`, created by `make` the first time.
template <class Values, class Key, class Make>
auto &remembered(Values &values, const Key &key, Make make) {
  auto found = values.find(key);
  if (found == values.end()) found = values.emplace(key, typename Values::mapped_type(make)).first;
  return found->second.get();
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
  static std::map<std::pair<int, Kind>, Once<Module>> modules;
  std::lock_guard<std::mutex> lock(mutex);
  const Device &device = deviceAt(number);
  return remembered(modules, std::make_pair(number, kind), [&] { return load(kind, device); });
}

const NormModule &normModule(int width, int elementBytes, int number) {
  static std::map<std::tuple<int, int, int>, Once<NormModule>> modules;
  std::lock_guard<std::mutex> lock(mutex);
  const Device &device = deviceAt(number);
  return remembered(modules, std::make_tuple(number, width, elementBytes), [&] {
    return loadNorm(Shape(1, 1, width, elementBytes, false), device);
  });
}

const ProductModule &productModule(const ProductShape &shape, int number) {
  static std::map<std::tuple<int, int, int, int>, Once<ProductModule>> modules;
  std::lock_guard<std::mutex> lock(mutex);
  const Device &device = deviceAt(number);
  return remembered(modules, std::make_tuple(number, shape.format, shape.elementBytes, shape.rows), [&] {
    return loadProduct(shape, device);
  });
}

const AttentionModule &attentionModule(const AttentionShape &shape, int number) {
  static std::map<std::tuple<int, int, int, int, int>, Once<AttentionModule>> modules;
  std::lock_guard<std::mutex> lock(mutex);
  const Device &device = deviceAt(number);
  return remembered(modules, std::make_tuple(number, shape.head, shape.format, shape.elementBytes, shape.queries), [&] {
    return loadAttention(shape, device);
  });
}

}  // namespace cuda
}  // namespace ckernels
