// Devices found at run time, random generators, and threads.
#include <ATen/core/CachingHostAllocator.h>
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>

#include <algorithm>
#include <string>

#include "ckernels.h"
#include "Core/Internal.hpp"
#include "Core/Parallel.hpp"

namespace {

/// Loads libtorch's CUDA library on first use; returns why it cannot be loaded, or an empty string.
const std::string &loadCUDA() {
  static const std::string failure = []() -> std::string {
#if defined(__linux__)
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) return "";
    const char *reason = dlerror();
    return reason ? reason : "unknown reason";
#else
    return "there is none for this system";
#endif
  }();
  return failure;
}

}  // namespace

bool wb_device_prepare(int64_t packed) {
  return wideband::guardedAction([&] {
    auto device = wideband::device(packed);
    if (device.is_cpu()) return;
    if (device.is_cuda()) {
      const std::string &failure = loadCUDA();
      TORCH_CHECK(failure.empty(), "libtorch's CUDA library cannot be loaded: ", failure);
      TORCH_CHECK(at::globalContext().hasCUDA(), "no CUDA device was found on this machine");
      auto count = c10::impl::getDeviceGuardImpl(device.type())->deviceCount();
      TORCH_CHECK(device.index() < count, "this machine has ", static_cast<int>(count), " CUDA device(s)");
      return;
    }
    TORCH_CHECK(device.is_mps() && at::hasMPS(), "this build of libtorch has no such device");
  });
}

bool wb_device_synchronize(int64_t packed) {
  return wideband::guardedAction([&] {
    auto device = wideband::device(packed);
    if (!device.is_cpu()) c10::impl::getDeviceGuardImpl(device.type())->synchronizeDevice(device.index());
  });
}

int64_t wb_device_peak_bytes(int64_t packed) {
  return wideband::guarded<int64_t>(0, [&]() -> int64_t {
    auto device = wideband::device(packed);
    if (!device.is_cuda()) return 0;
    auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
    return stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
  });
}

int wideband::threadCount() {
  const int team = ck_worker_team_threads();
  return team > 0 ? team : at::get_num_threads();
}

int wb_thread_count(void) { return wideband::threadCount(); }

int wb_processor_count(void) { return ck_processor_count(); }

const char *wb_vector_code(void) { return ck_vector_code(); }

const char *wb_supported_vector_code(int index) { return ck_supported_vector_code(index); }

void wb_set_thread_count(int count) { at::set_num_threads(std::max(count, 1)); }

double wb_read_bandwidth(int64_t bytes) { return ck_read_bandwidth(bytes, wideband::threadCount()); }

void wb_prepare_process(void) {
  at::globalContext().setFlushDenormal(true);
  wideband::prepareMemory();
}

wb_generator *wb_generator_create(int64_t packed, uint64_t seed) {
  return wideband::guarded<wb_generator *>(nullptr, [&] {
    auto device = wideband::device(packed);
    auto generator = at::globalContext().defaultGenerator(device).clone();
    generator.set_current_seed(seed);
    return new wb_generator{generator};
  });
}

void wb_generator_release(wb_generator *generator) { delete generator; }
