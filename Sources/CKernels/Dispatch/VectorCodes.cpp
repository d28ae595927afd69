// Which vector code is in use, and the C functions of the processor.
#include <atomic>
#include <cstring>

#include "Dispatch/Kernels.hpp"
#include "Runtime/Threads.hpp"
#include "Runtime/Workers.hpp"

namespace ckernels {
namespace {

bool isSupported(const VectorCode &code) {
#if defined(__x86_64__)
  if (&code == &avx512VNNICode) return isSupported(avx512Code) && __builtin_cpu_supports("avx512vnni");
  if (&code == &avx512Code)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
  if (&code == &avx2Code) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return &code == &portableCode;
}

const VectorCode *const allCodes[] = {
#if defined(__x86_64__)
    &avx512VNNICode,
    &avx512Code,
    &avx2Code,
#endif
    &portableCode,
};

const VectorCode *best() {
  for (const VectorCode *code : allCodes)
    if (isSupported(*code)) return code;
  return &portableCode;
}

std::atomic<const VectorCode *> &current() {
  static std::atomic<const VectorCode *> code{best()};
  return code;
}

}  // namespace

const VectorCode &code() { return *current().load(std::memory_order_relaxed); }

}  // namespace ckernels

using namespace ckernels;

const char *ck_vector_code(void) { return code().name; }

bool ck_worker_team_begin(int threads) { return beginWorkerTeam(threads); }

void ck_worker_team_end(void) { endWorkerTeam(); }

int ck_worker_team_threads(void) { return workerTeamThreads(); }

const char *ck_supported_vector_code(int index) {
  for (const VectorCode *code : allCodes)
    if (isSupported(*code) && index-- == 0) return code->name;
  return nullptr;
}

int ck_processor_count(void) { return usefulThreads(); }

bool ck_use_vector_code(const char *name) {
  for (const VectorCode *code : allCodes)
    if (std::strcmp(code->name, name) == 0 && isSupported(*code)) {
      current().store(code, std::memory_order_relaxed);
      return true;
    }
  return false;
}
