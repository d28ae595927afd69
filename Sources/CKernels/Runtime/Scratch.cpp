#include "Runtime/Scratch.hpp"

#include <cstdlib>

namespace ckernels {
namespace {

struct Block {
  void *memory = nullptr;
  std::size_t capacity = 0;
  ~Block() { std::free(memory); }
};

thread_local Block block;

}  // namespace

float *scratch(std::size_t count) {
  if (count > block.capacity || !block.memory) {
    std::free(block.memory);
    block = Block{};
    void *memory = nullptr;
    if (posix_memalign(&memory, 64, (count + 16) * sizeof(float)) != 0) return nullptr;
    block.memory = memory;
    block.capacity = count;
  }
  return static_cast<float *>(block.memory);
}

}  // namespace ckernels
