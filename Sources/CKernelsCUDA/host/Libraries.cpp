#include "Libraries.hpp"

#include <dlfcn.h>

#if defined(__linux__)
#include <link.h>
#endif

namespace ckernels::cuda {
namespace {

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

void *loadCompiler() {
  void *library = openCompiler();
  int major = 0, minor = 0;
  int (*version)(int *, int *) = find(library, "nvrtcVersion");
  version(&major, &minor);
  // NVRTC looks for its second library by name alone, and finds it if it is loaded already.
  const std::string rest =
      folderOf(library) + "/libnvrtc-builtins.so." + std::to_string(major) + "." + std::to_string(minor);
  dlopen(rest.c_str(), RTLD_NOW | RTLD_GLOBAL);
  return library;
}

Driver loadDriver() {
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) throw Failure{std::string("NVIDIA's driver cannot be loaded: ") + dlerror()};
  const Driver found{library};
  found.check(found.init(0), "cuInit");
  return found;
}

}  // namespace

Symbol find(void *library, const char *name) {
  const Symbol symbol{dlsym(library, name)};
  if (!symbol.address) throw Failure{std::string("NVIDIA's library has no function '") + name + "'"};
  return symbol;
}

void Driver::check(int result, const char *what) const {
  if (result == 0) return;
  const char *text = nullptr;
  getErrorString(result, &text);
  throw Failure{std::string(what) + ": " + (text ? text : "CUDA error " + std::to_string(result))};
}

const Compiler &compiler() {
  static const Compiler found{loadCompiler()};
  return found;
}

const Driver &driver() {
  static const Driver found = loadDriver();
  return found;
}

}  // namespace ckernels::cuda
