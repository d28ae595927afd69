// The process's memory: what is freed is kept, and the heap lies on huge pages where the system gives them.
#include "Internal.h"

#if defined(__GLIBC__)
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<char *> heapEnd{static_cast<char *>(sbrk(0))};

/// Asks for huge pages in what the heap has grown by since it was last looked at.
///
/// A training step goes through far more memory than the processor remembers the places of small pages for. The C library
/// and libtorch ask for huge ones too, but only in processes whose environment says so.
void adviseHeap() {
  char *const end = static_cast<char *>(sbrk(0));
  char *const before = heapEnd.exchange(end, std::memory_order_relaxed);
  if (before < end) madvise(before, static_cast<size_t>(end - before), MADV_HUGEPAGE);
}

/// libtorch's own allocator, and a look at the heap each time.
struct AdvisingAllocator final : c10::Allocator {
  c10::Allocator *const base = c10::GetDefaultCPUAllocator();

  c10::DataPtr allocate(size_t bytes) override {
    auto memory = base->allocate(bytes);
    adviseHeap();
    return memory;
  }

  c10::DeleterFnPtr raw_deleter() const override { return base->raw_deleter(); }

  void copy_data(void *target, const void *source, size_t bytes) const override {
    base->copy_data(target, source, bytes);
  }
};

}  // namespace

void wideband::prepareMemory() {
  // Large temporaries come back step after step; handing them to the kernel each time costs a fault for every page.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, -1);
  // Where small pages are larger than these, huge ones are hundreds of megabytes.
  if (sysconf(_SC_PAGESIZE) > 4096) return;
  // Small pages stay where the heap grows while somebody already uses its end: it is to grow seldom.
  mallopt(M_TOP_PAD, 256 << 20);
  // Never destroyed: threads may ask it for memory while the process ends.
  static auto *const allocator = new AdvisingAllocator;
  c10::SetCPUAllocator(allocator);
}

void wb_release_freed_memory(void) {
  malloc_trim(0);
  // The part that was given back is asked for anew when it comes again.
  heapEnd = static_cast<char *>(sbrk(0));
}

#else

void wideband::prepareMemory() {}
void wb_release_freed_memory(void) {}

#endif
