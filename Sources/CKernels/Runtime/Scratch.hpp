// Scratch memory: one block for each calling thread, grown on demand, and its division.
#pragma once

#include <cstddef>

namespace ckernels {

/// At least `count` floats, aligned to 64 bytes, valid for the calling thread until its next call; null if they cannot be
/// allocated.
float *scratch(std::size_t count);

/// Allocates consecutive pieces of a block, each on its own cache lines. With a null block it only counts.
class BumpAllocator {
 public:
  explicit BumpAllocator(float *block) : block(block) {}

  float *take(std::ptrdiff_t count) {
    float *piece = block ? block + used : nullptr;
    used += (std::size_t(count) + 15) / 16 * 16;
    return piece;
  }

  std::size_t count() const { return used; }

 private:
  float *block;
  std::size_t used = 0;
};

}  // namespace ckernels
