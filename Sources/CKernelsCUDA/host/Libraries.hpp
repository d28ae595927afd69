// The two libraries that compile and run kernels, loaded on first use.
#pragma once

#include <cstddef>
#include <string>

namespace ckernels::cuda {

/// A failure, as one sentence.
struct Failure {
  std::string message;
};

/// The address of a library's function, which converts to a pointer to a function of any type.
struct Symbol {
  void *address;

  template <class Function>
  operator Function *() const {
    return reinterpret_cast<Function *>(address);
  }
};

/// Throws a `Failure` where the library has no such function.
Symbol find(void *library, const char *name);

/// NVIDIA's run-time compiler, with the functions of nvrtc.h.
struct Compiler {
  typedef void *Program;
  void *library;
  int (*createProgram)(
      Program *, const char *source, const char *name, int headers, const char *const *texts,
      const char *const *names) = find(library, "nvrtcCreateProgram");
  int (*compileProgram)(Program, int count, const char *const *options) = find(library, "nvrtcCompileProgram");
  int (*destroyProgram)(Program *) = find(library, "nvrtcDestroyProgram");
  int (*getProgramLogSize)(Program, std::size_t *) = find(library, "nvrtcGetProgramLogSize");
  int (*getProgramLog)(Program, char *) = find(library, "nvrtcGetProgramLog");
  int (*getCUBINSize)(Program, std::size_t *) = find(library, "nvrtcGetCUBINSize");
  int (*getCUBIN)(Program, char *) = find(library, "nvrtcGetCUBIN");
  const char *(*getErrorString)(int) = find(library, "nvrtcGetErrorString");
};

/// NVIDIA's driver, with the functions of cuda.h.
struct Driver {
  void *library;
  int (*init)(unsigned) = find(library, "cuInit");
  int (*getErrorString)(int, const char **) = find(library, "cuGetErrorString");
  int (*deviceGet)(int *, int) = find(library, "cuDeviceGet");
  int (*deviceGetAttribute)(int *, int attribute, int device) = find(library, "cuDeviceGetAttribute");
  int (*primaryContextRetain)(void **, int device) = find(library, "cuDevicePrimaryCtxRetain");
  int (*contextGetCurrent)(void **) = find(library, "cuCtxGetCurrent");
  int (*contextSetCurrent)(void *) = find(library, "cuCtxSetCurrent");
  int (*moduleLoadData)(void **, const void *) = find(library, "cuModuleLoadData");
  int (*moduleGetFunction)(void **, void *, const char *) = find(library, "cuModuleGetFunction");
  int (*functionSetAttribute)(void *, int, int) = find(library, "cuFuncSetAttribute");
  int (*maximumActiveBlocks)(int *, void *function, int threads, std::size_t shared) =
      find(library, "cuOccupancyMaxActiveBlocksPerMultiprocessor");
  int (*launchKernel)(
      void *function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned shared, void *stream,
      void **arguments, void **extra) = find(library, "cuLaunchKernel");

  /// Throws the driver's message for `result` unless that is success.
  void check(int result, const char *what) const;
};

/// Throws a `Failure` where the library cannot be loaded.
const Compiler &compiler();
const Driver &driver();

}  // namespace ckernels::cuda
