#include "Runtime/OpenMP.hpp"

#include <dlfcn.h>

namespace ckernels {
namespace {

template <typename Function>
void find(Function &function, const char *name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

OpenMP found() {
  OpenMP pool;
  find(pool.parallel, "GOMP_parallel");
  find(pool.threadNumber, "omp_get_thread_num");
  find(pool.isInParallel, "omp_in_parallel");
  find(pool.maximumThreads, "omp_get_max_threads");
  find(pool.setThreads, "omp_set_num_threads");
  return pool;
}

}  // namespace

const OpenMP &OpenMP::inProcess() {
  static const OpenMP pool = found();
  return pool;
}

}  // namespace ckernels
