// The two libraries that compile and run kernels, loaded on first use.
#pragma once

#include <cstddef>
#include <string>

namespace ckernels {
namespace cuda {

/// A failure, as one sentence.
struct Failure {
  std::string message;
};

/// NVIDIA's run-time compiler. Its functions by their names in nvrtc.h.
struct Compiler {
  typedef void *Program;
  int (*createProgram)(Program *, const char *source, const char *name, int, const char *const *, const char *const *);
  int (*compileProgram)(Program, int count, const char *const *options);
  int (*destroyProgram)(Program *);
  int (*getProgramLogSize)(Program, std::size_t *);
  int (*getProgramLog)(Program, char *);
  int (*getCUBINSize)(Program, std::size_t *);
  int (*getCUBIN)(Program, char *);
  const char *(*getErrorString)(int);
};

/// NVIDIA's driver. Its functions by their names in cuda.h.
struct Driver {
  int (*init)(unsigned);
  int (*getErrorString)(int, const char **);
  int (*deviceGet)(int *, int);
  int (*deviceGetAttribute)(int *, int attribute, int device);
  int (*primaryContextRetain)(void **, int device);
  int (*contextGetCurrent)(void **);
  int (*contextSetCurrent)(void *);
  int (*moduleLoadData)(void **, const void *);
  int (*moduleGetFunction)(void **, void *, const char *);
  int (*functionSetAttribute)(void *, int, int);
  int (*maximumActiveBlocks)(int *, void *function, int threads, std::size_t shared);
  int (*launchKernel)(
      void *function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned shared, void *stream,
      void **arguments, void **extra);

  /// Throws the driver's message for `result` unless that is success.
  void check(int result, const char *what) const;
};

/// Throws a `Failure` where the library cannot be loaded.
const Compiler &compiler();
const Driver &driver();

}  // namespace cuda
}  // namespace ckernels
