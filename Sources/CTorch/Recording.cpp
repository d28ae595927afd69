// Work on a GPU that is recorded once and then run in one go, and numbers that are read while a GPU works on.
//
// at::cuda::CUDAGraph lies in the library that is loaded when a CUDA device is asked for, so that its functions are found
// by their names, and an object of it is so many bytes that only they look at.
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "Internal.h"

namespace wideband {
namespace {

/// libtorch's functions for graphs, each with the object first.
struct GraphFunctions {
  typedef std::pair<unsigned long long, unsigned long long> Pool;
  void (*construct)(void *, bool keepsGraph);
  void (*destroy)(void *);
  void (*begin)(void *, Pool, int mode);
  void (*end)(void *);
  void (*replay)(void *);

  GraphFunctions() {
    find(construct, "_ZN2at4cuda9CUDAGraphC1Eb");
    find(destroy, "_ZN2at4cuda9CUDAGraphD1Ev");
    find(begin, "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
    find(end, "_ZN2at4cuda9CUDAGraph11capture_endEv");
    find(replay, "_ZN2at4cuda9CUDAGraph6replayEv");
  }

  template <typename Function>
  static void find(Function &function, const char *name) {
    function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
    TORCH_CHECK(function, "libtorch's CUDA library has no '", name, "'");
  }

  static const GraphFunctions &all() {
    static const GraphFunctions functions;
    return functions;
  }
};

/// A CUDAGraph, in room for several times its size.
class Graph {
public:
  Graph() { functions.construct(room, false); }
  ~Graph() { functions.destroy(room); }
  Graph(const Graph &) = delete;

  void begin() {
    // Only what this thread does is part of the recording, and what others do does not end it.
    constexpr int threadLocal = 1;
    functions.begin(room, {0, 0}, threadLocal);
  }
  void end() { functions.end(room); }
  void replay() { functions.replay(room); }

private:
  const GraphFunctions &functions = GraphFunctions::all();
  alignas(std::max_align_t) unsigned char room[2048];
};

/// Makes a stream the thread's current one for as long as it lives.
class Streaming {
public:
  Streaming(const c10::impl::VirtualGuardImpl &guard, c10::Stream stream)
      : guard(guard), previous(guard.exchangeStream(stream)) {}
  ~Streaming() { guard.exchangeStream(previous); }
  Streaming(const Streaming &) = delete;

private:
  const c10::impl::VirtualGuardImpl &guard;
  c10::Stream previous;
};

void waitFor(c10::Stream earlier, c10::Stream later) {
  c10::Event event(earlier.device_type());
  event.record(earlier);
  event.block(later);
}

}  // namespace
}  // namespace wideband

struct wb_recording {
  wideband::Graph graph;
};

struct wb_reading {
  at::Tensor numbers;
  std::optional<c10::Event> event;
};

wb_recording *wb_record(int64_t packed, bool (*work)(void *), void *context) {
  auto *found = wideband::guarded<wb_recording *>(nullptr, [&] {
    const auto device = wideband::device(packed);
    TORCH_CHECK(device.is_cuda(), "nothing is recorded on ", device.str());
    const c10::impl::VirtualGuardImpl guard(device.type());
    auto recording = std::make_unique<wb_recording>();
    // A recording has memory of its own: what was kept for work like it is of no use any more.
    at::getDeviceAllocator(device.type())->emptyCache();
    // The default stream cannot be recorded.
    const auto own = guard.getStream(device), side = guard.getStreamFromGlobalPool(device);
    wideband::waitFor(own, side);
    bool isDone = false;
    {
      wideband::Streaming streaming(guard, side);
      recording->graph.begin();
      isDone = work(context);
      recording->graph.end();
    }
    wideband::waitFor(side, own);
    TORCH_CHECK(isDone, "an operator of theirs failed, or has no kernel");
    return recording.release();
  });
  static bool isReported = false;
  if (!found && !std::exchange(isReported, true))
    std::fprintf(stderr, "work is given to the GPU one operator after another: %s\n", wb_last_error());
  return found;
}

bool wb_recording_run(wb_recording *recording) {
  return wideband::guarded(false, [&] {
    recording->graph.replay();
    return true;
  });
}

void wb_recording_release(wb_recording *recording) { delete recording; }

wb_reading *wb_read_ahead(const wb_tensor *numbers) {
  return wideband::guarded<wb_reading *>(nullptr, [&] {
    const auto &source = numbers->value;
    TORCH_CHECK(source.scalar_type() == at::kLong && source.is_contiguous(), "expected whole numbers of int64");
    auto reading = std::make_unique<wb_reading>();
    if (!source.is_cuda()) {
      reading->numbers = source.to(at::kCPU, at::kLong, false, true);
      return reading.release();
    }
    reading->numbers = at::empty(source.sizes(), at::TensorOptions().dtype(at::kLong).pinned_memory(true));
    reading->numbers.copy_(source, true);
    reading->event.emplace(source.device().type());
    reading->event->record(c10::impl::VirtualGuardImpl(source.device().type()).getStream(source.device()));
    return reading.release();
  });
}

bool wb_reading_finish(wb_reading *reading, int64_t *numbers) {
  return wideband::guarded(false, [&] {
    if (reading->event) reading->event->synchronize();
    std::copy_n(static_cast<const int64_t *>(reading->numbers.const_data_ptr()), reading->numbers.numel(), numbers);
    return true;
  });
}

void wb_reading_release(wb_reading *reading) { delete reading; }
