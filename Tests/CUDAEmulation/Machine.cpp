#include "Machine.hpp"

#include <ucontext.h>

#include <cstring>
#include <memory>

namespace emulation {
namespace {

struct Barrier {
  int expected = 0, arrived = 0;
  long round = 0;
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  bool isDone = false;
  int turn = 0;
};

/// Shared memory begins as not-a-number everywhere, so that what is read before it is written shows.
constexpr int filler = 0xff, guard = 256;

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Barrier> warps;
  std::vector<Board> boards;
  Barrier all;
  std::vector<std::uint64_t> shared;
  const std::function<void()> *body = nullptr;
  ucontext_t scheduler;
  int current = 0, index = 0, count = 0, running = 0;
};

/// Tests run side by side, each block on one thread.
thread_local Block *block = nullptr;

void yield() {
  // Up in one block and down in the next, so that a missing barrier shows whichever way it matters.
  const int from = block->current, count = int(block->fibers.size()), step = block->index % 2 ? count - 1 : 1;
  int to = from;
  do to = (to + step) % count;
  while (block->fibers[std::size_t(to)].isDone && to != from);
  if (to == from) return;
  block->current = to;
  swapcontext(&block->fibers[std::size_t(from)].context, &block->fibers[std::size_t(to)].context);
}

void wait(Barrier &barrier) {
  const long round = barrier.round;
  if (++barrier.arrived == barrier.expected) {
    barrier.arrived = 0;
    barrier.round++;
    return;
  }
  while (barrier.round == round) yield();
}

void begin() {
  (*block->body)();
  Fiber &self = block->fibers[std::size_t(block->current)];
  self.isDone = true;
  if (--block->running == 0) setcontext(&block->scheduler);
  yield();
}

void runBlock(int threads) {
  block->running = threads;
  block->all = Barrier{threads};
  block->warps.assign(std::size_t(threads / lanes), Barrier{lanes});
  for (Fiber &fiber : block->fibers) {
    constexpr std::size_t stackBytes = 256 << 10;
    if (!fiber.stack) fiber.stack.reset(new char[stackBytes]);
    fiber.isDone = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = stackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, begin, 0);
  }
  block->current = 0;
  swapcontext(&block->scheduler, &block->fibers[0].context);
}

}  // namespace

bool run(int blocks, int threads, int sharedBytes, const std::function<void()> &body) {
  Block state;
  state.fibers = std::vector<Fiber>(std::size_t(threads));
  state.boards.resize(std::size_t(threads / lanes));
  state.shared.resize(std::size_t(sharedBytes + guard) / 8 + 1);
  state.body = &body;
  state.count = blocks;
  block = &state;
  auto *bytes = reinterpret_cast<unsigned char *>(state.shared.data());
  bool isWithin = true;
  for (state.index = 0; state.index < blocks; state.index++) {
    std::memset(bytes, filler, std::size_t(sharedBytes + guard));
    runBlock(threads);
    for (int i = 0; i < guard; i++) isWithin = isWithin && bytes[sharedBytes + i] == filler;
  }
  block = nullptr;
  return isWithin;
}

int threadIndex() { return block->current; }
int blockIndex() { return block->index; }
int blockCount() { return block->count; }
unsigned char *sharedMemory() { return reinterpret_cast<unsigned char *>(block->shared.data()); }
void waitForBlock() { wait(block->all); }
void waitForWarp() { wait(block->warps[std::size_t(block->current / lanes)]); }

Board &board(int &turn) {
  Fiber &self = block->fibers[std::size_t(block->current)];
  turn = self.turn;
  self.turn ^= 1;
  return block->boards[std::size_t(block->current / lanes)];
}

}  // namespace emulation
