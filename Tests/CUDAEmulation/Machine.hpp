// A block of threads on the processor: fibers that take turns, barriers, and what the lanes of a warp tell each other.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace emulation {

constexpr int lanes = 32;

/// Words that the lanes of a warp show each other. Two sets, used in turn: before a lane comes back to a set, all lanes
/// have passed the barrier of the other, and so have read this one.
struct Board {
  const void *rows[2][lanes];
  std::uint32_t words[2][lanes][8];
};

/// Runs `body` once for every thread of every block, one block after the other. False if it wrote past the end of
/// `sharedBytes`.
bool run(int blocks, int threads, int sharedBytes, const std::function<void()> &body);

int threadIndex();
int blockIndex();
int blockCount();
unsigned char *sharedMemory();
void waitForBlock();
void waitForWarp();
/// The warp's board, and which of its sets is this lane's turn.
Board &board(int &turn);

}  // namespace emulation
