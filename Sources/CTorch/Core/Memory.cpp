// The process's memory: freed memory is kept for reuse, and the heap uses huge pages where the system has them.
#include "Core/Internal.hpp"

#if defined(__GLIBC__)
#include <c10/core/CPUAllocator.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<char *> heapEnd{static_cast<char *>(sbrk(0))};

/// Advises huge pages for the part by which the heap has grown since the last call.
///
/// A training step uses far more memory than the processor's TLB covers with small pages. The C library and libtorch advise
/// huge pages too, but only if the environment tells them to.
void adviseHeap() {
  char *const end = static_cast<char *>(sbrk(0));
  char *const before = heapEnd.exchange(end, std::memory_order_relaxed);
  if (before < end) madvise(before, static_cast<size_t>(end - before), MADV_HUGEPAGE);
}

/// libtorch's own allocator; advises huge pages after each allocation.
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
  // The same large temporaries are allocated in every step; returning them to the system costs a page fault for every page.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, -1);
  // Where small pages are larger than these, huge ones are hundreds of megabytes.
  if (sysconf(_SC_PAGESIZE) > 4096) return;
  // A page that is touched before the advice stays small, so the heap should grow seldom.
  mallopt(M_TOP_PAD, 256 << 20);
  // Never destroyed: threads may ask it for memory while the process ends.
  static auto *const allocator = new AdvisingAllocator;
  c10::SetCPUAllocator(allocator);
}

void wb_release_freed_memory(void) {
  malloc_trim(0);
  // The part that was returned is advised again when the heap grows again.
  heapEnd = static_cast<char *>(sbrk(0));
}

#else

void wideband::prepareMemory() {}
void wb_release_freed_memory(void) {}

#endif
