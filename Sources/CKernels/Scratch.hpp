// Scratch memory: one block a calling thread, grown when needed, cut up in order.
#pragma once

#include <cstddef>

namespace ckernels {

/// At least `count` floats, aligned to 64 bytes, that belong to the calling thread until its next call; null if the
/// memory cannot be had.
float *scratch(std::size_t count);

/// Hands out consecutive pieces of a block, each on its own cache lines. Over a null block it only counts.
class Cutter {
 public:
  explicit Cutter(float *block) : block(block) {}

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
