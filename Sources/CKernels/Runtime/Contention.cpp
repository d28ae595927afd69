#include "Runtime/Contention.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>

#include "Runtime/OpenMP.hpp"
#include "Runtime/SpinBackoff.hpp"
#include "Runtime/Workers.hpp"

#if defined(__linux__)
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#endif

namespace ckernels {
namespace {

/// The total time in nanoseconds that threads of this process waited for a core; negative where the system does not
/// measure it.
std::int64_t timeWaitedForCores() {
#if defined(__linux__)
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return -1;
  std::int64_t total = -1;
  while (const dirent *task = readdir(tasks)) {
    if (task->d_name[0] == '.') continue;
    char path[64], text[96];
    std::snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    const ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) continue;
    text[length] = 0;
    // The file has three numbers: time running, time waiting, and time slices.
    char *rest = nullptr;
    std::strtoll(text, &rest, 10);
    total = std::max<std::int64_t>(total, 0) + std::strtoll(rest, nullptr, 10);
  }
  closedir(tasks);
  return total;
#else
  return -1;
#endif
}

/// While enabled, OpenMP's threads sleep almost at once instead of spinning.
///
/// The library reads the duration of spinning from the environment only when it is loaded. But it hardly spins once it has
/// more threads than there are processors. So an extra thread starts a parallel region with that many threads, which
/// sleep.
class SpinLimit {
 public:
  void set(bool isEnabled) {
    mayEnd.store(!isEnabled, std::memory_order_seq_cst);
    if (!isEnabled) return sleeper.wake();
    if (isRunning.exchange(true)) return;
    try {
      std::thread([this] { hold(); }).detach();
    } catch (const std::system_error &) {
      isRunning = false;
    }
  }

 private:
  std::atomic<bool> mayEnd{false}, isRunning{false};
  Sleeper sleeper;

  void hold() {
    const OpenMP &pool = OpenMP::inProcess();
    pool.parallel([](void *) {}, nullptr, unsigned(usefulThreads() + 1), 0);
    sleeper.sleep([this] { return mayEnd.load(std::memory_order_seq_cst); });
    isRunning = false;
  }
};

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Samples the time that threads waited for cores.
struct Monitor {
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> isContended{false}, isSampling{false};
  // Used only by the thread that samples.
  std::int64_t last = 0, waited = -1;
  ContentionDetector detector;
  SpinLimit spinLimit;

  void sample(std::int64_t time) {
    const std::int64_t total = timeWaitedForCores();
    if (total >= 0 && waited >= 0) {
      const bool isFound = detector.add(double(total - waited) / double(time - last));
      isContended.store(isFound, std::memory_order_relaxed);
      spinLimit.set(isFound);
    }
    waited = total;
    last = time;
    // Sampling takes at most 1/200 of the time.
    constexpr std::int64_t interval = 20'000'000;
    const std::int64_t end = now();
    next.store(end + std::max(interval, 200 * (end - time)), std::memory_order_relaxed);
  }
};

}  // namespace

bool areCoresContended() {
  // Never destroyed: threads may still use it when the process ends.
  static Monitor &monitor = *new Monitor;
  const std::int64_t time = now();
  if (time >= monitor.next.load(std::memory_order_relaxed) &&
      !monitor.isSampling.exchange(true, std::memory_order_acquire)) {
    monitor.sample(time);
    monitor.isSampling.store(false, std::memory_order_release);
  }
  return monitor.isContended.load(std::memory_order_relaxed);
}

}  // namespace ckernels
