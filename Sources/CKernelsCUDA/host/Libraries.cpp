#include "Libraries.hpp"

#include <dlfcn.h>

#if defined(__linux__)
#include <link.h>
#endif

namespace ckernels {
namespace cuda {
namespace {

template <class Function>
void find(void *library, const char *name, Function &function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw Failure{std::string("NVIDIA's library has no function '") + name + "'"};
}

/// The folder of a loaded library; empty for none.
std::string folderOf(void *library) {
#if defined(__linux__)
  link_map *map = nullptr;
  if (!library || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || !map) return "";
  const std::string path = map->l_name;
  const std::size_t end = path.rfind('/');
  return end == std::string::npos ? "" : path.substr(0, end);
#else
  return library ? "" : "";
#endif
}

/// NVRTC is in the system's folders, or where PyPI's packages install it: in a folder next to libtorch's.
void *openCompiler() {
  constexpr const char *name = "libnvrtc.so.13";
  if (void *library = dlopen(name, RTLD_NOW)) return library;
  const std::string message = dlerror();
  const std::string torch = folderOf(dlopen("libc10.so", RTLD_NOW | RTLD_NOLOAD));
  if (!torch.empty())
    if (void *library = dlopen((torch + "/../../nvidia/cu13/lib/" + name).c_str(), RTLD_NOW)) return library;
  throw Failure{"NVIDIA's compiler for kernels cannot be loaded: " + message};
}

Compiler loadCompiler() {
  void *library = openCompiler();
  int major = 0, minor = 0;
  int (*version)(int *, int *);
  find(library, "nvrtcVersion", version);
  version(&major, &minor);
  // NVRTC looks for its second library by name alone, and finds it if it is loaded already.
  const std::string rest =
      folderOf(library) + "/libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor);
  dlopen(rest.c_str(), RTLD_NOW | RTLD_GLOBAL);
  Compiler found;
  find(library, "nvrtcCreateProgram", found.createProgram);
  find(library, "nvrtcCompileProgram", found.compileProgram);
  find(library, "nvrtcDestroyProgram", found.destroyProgram);
  find(library, "nvrtcGetProgramLogSize", found.getProgramLogSize);
  find(library, "nvrtcGetProgramLog", found.getProgramLog);
  find(library, "nvrtcGetCUBINSize", found.getCUBINSize);
  find(library, "nvrtcGetCUBIN", found.getCUBIN);
  find(library, "nvrtcGetErrorString", found.getErrorString);
  return found;
}

Driver loadDriver() {
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) throw Failure{std::string("NVIDIA's driver cannot be loaded: ") + dlerror()};
  Driver found;
  find(library, "cuInit", found.init);
  find(library, "cuGetErrorString", found.getErrorString);
  find(library, "cuDeviceGet", found.deviceGet);
  find(library, "cuDeviceGetAttribute", found.deviceGetAttribute);
  find(library, "cuDevicePrimaryCtxRetain", found.primaryContextRetain);
  find(library, "cuCtxGetCurrent", found.contextGetCurrent);
  find(library, "cuCtxSetCurrent", found.contextSetCurrent);
  find(library, "cuModuleLoadData", found.moduleLoadData);
  find(library, "cuModuleGetFunction", found.moduleGetFunction);
  find(library, "cuFuncSetAttribute", found.functionSetAttribute);
  find(library, "cuOccupancyMaxActiveBlocksPerMultiprocessor", found.maximumActiveBlocks);
  find(library, "cuLaunchKernel", found.launchKernel);
  found.check(found.init(0), "cuInit");
  return found;
}

}  // namespace

void Driver::check(int result, const char *what) const {
  if (result == 0) return;
  const char *text = nullptr;
  getErrorString(result, &text);
  throw Failure{std::string(what) + ": " + (text ? text : "CUDA error " + std::to_string(result))};
}

const Compiler &compiler() {
  static const Compiler found = loadCompiler();
  return found;
}

const Driver &driver() {
  static const Driver found = loadDriver();
  return found;
}

}  // namespace cuda
}  // namespace ckernels
