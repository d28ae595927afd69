#include "Contention.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>

#include "OpenMP.hpp"
#include "Waiting.hpp"
#include "Workers.hpp"

#if defined(__linux__)
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#endif

namespace ckernels {
namespace {

/// Nanoseconds that the threads of this process have been ready to run and were not running, all together; negative
/// where the system does not say.
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
    // "running waiting slices".
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

/// Keeps OpenMP's threads from spinning for more than a moment as long as it is in force.
///
/// How long they do is read from the environment when the library is loaded. But where it has more threads than there are
/// processors, they go to sleep almost at once: so a thread that only sleeps has others that do the same.
class Restraint {
 public:
  void set(bool isWanted) {
    mayEnd.store(!isWanted, std::memory_order_seq_cst);
    if (!isWanted) return bed.wake();
    if (isRunning.exchange(true)) return;
    try {
      std::thread([this] { hold(); }).detach();
    } catch (const std::system_error &) {
      isRunning = false;
    }
  }

 private:
  std::atomic<bool> mayEnd{false}, isRunning{false};
  Bed bed;

  void hold() {
    const OpenMP &pool = OpenMP::inProcess();
    pool.parallel([](void *) {}, nullptr, unsigned(usefulThreads() + 1), 0);
    bed.sleep([this] { return mayEnd.load(std::memory_order_seq_cst); });
    isRunning = false;
  }
};

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Watch {
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> areShared{false}, isLooking{false};
  // Whoever looks has these.
  std::int64_t last = 0, waited = -1;
  CoreSharing sharing;
  Restraint restraint;

  void look(std::int64_t time) {
    const std::int64_t total = timeWaitedForCores();
    if (total >= 0 && waited >= 0) {
      const bool found = sharing.note(double(total - waited) / double(time - last));
      areShared.store(found, std::memory_order_relaxed);
      restraint.set(found);
    }
    waited = total;
    last = time;
    // Looking costs at most one part in two hundred.
    constexpr std::int64_t interval = 20'000'000;
    const std::int64_t end = now();
    next.store(end + std::max(interval, 200 * (end - time)), std::memory_order_relaxed);
  }
};

}  // namespace

bool areCoresShared() {
  // Never destroyed: threads may still use it when the process ends.
  static Watch &watch = *new Watch;
  const std::int64_t time = now();
  if (time >= watch.next.load(std::memory_order_relaxed) &&
      !watch.isLooking.exchange(true, std::memory_order_acquire)) {
    watch.look(time);
    watch.isLooking.store(false, std::memory_order_release);
  }
  return watch.areShared.load(std::memory_order_relaxed);
}

}  // namespace ckernels
