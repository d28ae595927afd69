// CUDA graphs, and readbacks of tensors that do not stop the GPU.
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "Core/Internal.hpp"
#include "Core/UnlistedFunctions.hpp"

namespace wideband {
namespace {

/// An at::cuda::CUDAGraph, in memory of several times its size: its class is not declared here.
class Graph {
 public:
  Graph() { functions.construct(memory, false); }
  ~Graph() { functions.destroy(memory); }
  Graph(const Graph &) = delete;

  void begin() {
    // Only operators of this thread are captured, and those of other threads do not end the capture.
    constexpr int threadLocal = 1;
    functions.captureBegin(memory, {0, 0}, threadLocal);
  }
  void end() { functions.captureEnd(memory); }
  void replay() { functions.replay(memory); }

 private:
  const CUDAGraphFunctions &functions = CUDAGraphFunctions::all();
  alignas(std::max_align_t) unsigned char memory[2048];
};

/// Makes a stream the thread's current one for as long as it lives.
class CurrentStream {
 public:
  CurrentStream(const c10::impl::VirtualGuardImpl &guard, c10::Stream stream)
      : guard(guard), previous(guard.exchangeStream(stream)) {}
  ~CurrentStream() { guard.exchangeStream(previous); }
  CurrentStream(const CurrentStream &) = delete;

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

struct wb_cuda_graph {
  wideband::Graph graph;
};

struct wb_readback {
  at::Tensor elements;
  std::optional<c10::Event> event;
};

wb_cuda_graph *wb_cuda_graph_capture(int64_t packed, bool (*work)(void *), void *context) {
  auto *graph = wideband::guarded<wb_cuda_graph *>(nullptr, [&] {
    const auto device = wideband::device(packed);
    TORCH_CHECK(device.is_cuda(), "there are no graphs on ", device.str());
    const c10::impl::VirtualGuardImpl guard(device.type());
    auto capture = std::make_unique<wb_cuda_graph>();
    // A graph has memory of its own: cached memory of the same operators is not needed any longer.
    at::getDeviceAllocator(device.type())->emptyCache();
    // The default stream cannot be captured.
    const auto own = guard.getStream(device), side = guard.getStreamFromGlobalPool(device);
    wideband::waitFor(own, side);
    bool isDone = false;
    {
      wideband::CurrentStream current(guard, side);
      capture->graph.begin();
      isDone = work(context);
      capture->graph.end();
    }
    wideband::waitFor(side, own);
    TORCH_CHECK(isDone, "an operator failed, or has no kernel on the GPU");
    return capture.release();
  });
  static bool isReported = false;
  if (!graph && !std::exchange(isReported, true))
    std::fprintf(stderr, "operators are launched on the GPU one by one: %s\n", wb_last_error());
  return graph;
}

bool wb_cuda_graph_launch(wb_cuda_graph *graph) {
  return wideband::guardedAction([&] { graph->graph.replay(); });
}

void wb_cuda_graph_release(wb_cuda_graph *graph) { delete graph; }

wb_readback *wb_readback_start(const wb_tensor *tensor) {
  return wideband::guarded<wb_readback *>(nullptr, [&] {
    const auto &source = tensor->value;
    TORCH_CHECK(source.scalar_type() == at::kLong && source.is_contiguous(), "expected contiguous int64 elements");
    auto readback = std::make_unique<wb_readback>();
    if (!source.is_cuda()) {
      readback->elements = source.to(at::kCPU, at::kLong, false, true);
      return readback.release();
    }
    readback->elements = at::empty(source.sizes(), at::TensorOptions().dtype(at::kLong).pinned_memory(true));
    readback->elements.copy_(source, true);
    readback->event.emplace(source.device().type());
    readback->event->record(c10::impl::VirtualGuardImpl(source.device().type()).getStream(source.device()));
    return readback.release();
  });
}

bool wb_readback_wait(wb_readback *readback, int64_t *elements) {
  return wideband::guardedAction([&] {
    if (readback->event) readback->event->synchronize();
    std::copy_n(
        static_cast<const int64_t *>(readback->elements.const_data_ptr()), readback->elements.numel(), elements);
  });
}

void wb_readback_release(wb_readback *readback) { delete readback; }
