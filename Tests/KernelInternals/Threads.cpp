#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "kernelinternals.h"
#include "Runtime/Contention.hpp"
#include "Runtime/Threads.hpp"

using namespace ckernels;

namespace {

constexpr int pieces = 37;

/// Counts how often each piece of a job was done.
struct Count {
  std::atomic<int> done[pieces];
  std::thread::id caller = std::this_thread::get_id();
  int slow, microseconds;

  void note(int piece) {
    if (slow && piece % slow == 0 && std::this_thread::get_id() != caller)
      std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
    done[piece].fetch_add(1, std::memory_order_relaxed);
  }

  std::int64_t wrong() {
    std::int64_t count = 0;
    for (std::atomic<int> &piece : done) count += piece.exchange(0, std::memory_order_relaxed) != 1;
    return count;
  }
};

struct Jobs {
  int threads, jobs, slow, microseconds;
  std::int64_t wrong = 0;

  void runOnTeam() {
    const bool hasTeam = beginWorkerTeam(threads);
    run();
    if (hasTeam) endWorkerTeam();
  }

  void run() {
    Count count{{}, std::this_thread::get_id(), slow, microseconds};
    const Shares samples{pieces, threads};
    struct Both {
      Count &count;
      const Shares &samples;
    } both{count, samples};
    for (int job = 0; job < jobs; job++) {
      forEachShare(
          samples,
          [](void *context, int, int share) {
            const Both &both = *static_cast<Both *>(context);
            for (std::int64_t i = both.samples.first(share); i < both.samples.first(share + 1); i++)
              both.count.note(int(i));
          },
          &both);
      wrong += count.wrong();
      forEachRange(
          pieces, 1, threads,
          [](void *context, int, std::int64_t first, std::int64_t last) {
            for (std::int64_t i = first; i < last; i++) static_cast<Count *>(context)->note(int(i));
          },
          &count);
      wrong += count.wrong();
      // Now and then long enough for the workers to fall asleep.
      if (microseconds && job % 16 == 0) std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
    }
  }
};

}  // namespace

bool ki_are_cores_contended_after(const double *samples, int count) {
  ContentionDetector detector;
  bool isContended = false;
  for (int i = 0; i < count; i++) isContended = detector.add(samples[i]);
  return isContended;
}

int64_t ki_wrongly_done(int threads, int jobs, int slow, int microseconds) {
  Jobs call{threads, jobs, slow, microseconds};
  call.runOnTeam();
  return call.wrong;
}

int64_t ki_wrongly_done_by_two(int threads, int jobs) {
  Jobs one{threads, jobs, 0, 0}, other = one;
  std::thread second([&] { other.runOnTeam(); });
  one.runOnTeam();
  second.join();
  return one.wrong + other.wrong;
}

int64_t ki_wrongly_done_among(int spinners, int threads, int jobs) {
  std::atomic<bool> isOver{false};
  std::vector<std::thread> others;
  for (int i = 0; i < spinners; i++)
    others.emplace_back([&] {
      while (!isOver.load(std::memory_order_relaxed)) continue;
    });
  // The team is ended and begun again now and then, as between passes of decoding.
  std::int64_t wrong = 0;
  for (int i = 0; i < 10; i++) wrong += ki_wrongly_done(threads, jobs / 10, 0, 0);
  isOver = true;
  for (std::thread &other : others) other.join();
  return wrong;
}
