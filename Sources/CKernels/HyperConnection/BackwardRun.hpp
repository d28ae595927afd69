// The backward pass over all tokens in shares, and the sum of the gradients of all shares.
#pragma once

#include "HyperConnection/Backward.hpp"

namespace ckernels::CK_CODE {

struct BackwardRun : BlockRun<ck_connection_backward_args> {
  using BlockRun::BlockRun;
  std::optional<PackedConnection> packed;  ///< none for the backward pass of a write alone
  SharedSums sums;
};

/// The memory of a thread for a connection's backward pass.
struct ThreadMemory {
  Working working;
  BackwardWorking back;

  ThreadMemory(const PackedConnection &packed, BumpAllocator &allocator)
      : working(packed, allocator, true), back(packed, allocator) {}
};

inline void backwardShare(const BackwardRun &run, int thread, int share) {
  const ck_connection_backward_args &args = run.args;
  const Shape &shape = run.shape;
  BumpAllocator allocator = run.memoryOf(thread);
  std::optional<Sums> sums;
  std::optional<ThreadMemory> memory;
  if (run.packed) {
    BumpAllocator own(run.sums.of(share));
    std::fill_n(run.sums.of(share), run.sums.each, 0.0f);
    sums.emplace(*run.packed, own);
    memory.emplace(*run.packed, allocator);
    // Sums are formed over whole tables, so entries that no product writes must be finite.
    std::fill_n(memory->back.gradients, shape.blockTable(), 0.0f);
  }
  const Index stateSize = shape.n * shape.C, inputSize = shape.m * shape.C;
  run.forEachBlock(share, [&](Index block, Index token, Index tokens, BlockPrefetch &prefetch) {
    prefetch.add(args.state, stateSize);
    prefetch.add(args.next_state_gradient, stateSize);
    if (run.packed) prefetch.addRun(run.packed->projectionsOf(block + 1), shape.projections());
    prefetch.add(args.input_gradient, inputSize);
    prefetch.add(args.output, inputSize);
    prefetch.add(args.writer_output_gradient, inputSize);
    prefetch.add(args.saved_write, shape.m * shape.n);
    if (run.packed && args.state_gradient != args.next_state_gradient) prefetch.add(args.state_gradient, stateSize);
    if (run.packed) {
      const BackwardInput in{
          args.state + token * stateSize, args.output + token * inputSize, args.input_gradient + token * inputSize,
          args.next_state_gradient + token * stateSize, run.packed->projectionsOf(block)};
      backwardBlock(
          *run.packed, memory->working, memory->back, *sums, in, tokens, args.state_gradient + token * stateSize,
          prefetch);
    }
    if (!args.writer) return;
    // The gradient of the state after the writer: of the state that the connection read, if there is a connection.
    const float *afterWriter = run.packed ? args.state_gradient : args.next_state_gradient;
    // The gradient of the writer's output is write^T, as saved by the forward pass, times it.
    multiplySlots(
        shape, args.saved_write + token * shape.m * shape.n, shape.n, shape.m * shape.n,
        afterWriter + token * stateSize, tokens, args.writer_output_gradient + token * inputSize, prefetch);
  });
}

inline bool connectionBackward(const ck_connection_backward_args &args, int threads) {
  BumpAllocator count(nullptr), forShare(nullptr), forThread(nullptr);
  if (args.connection) {
    const PackedConnection packed(*args.connection, count);
    Sums(packed, forShare);
    ThreadMemory(packed, forThread);
  }
  const Shape shape(args.connection ? *args.connection : *args.writer);
  BackwardRun run(args, shape, forThread.count(), threads);
  const std::size_t shared = count.count(), forShares = forShare.count() * std::size_t(run.shares.count());
  float *memory = scratch(shared + forShares + run.scratchCount());
  if (!memory) return false;
  BumpAllocator allocator(memory);
  if (args.connection) run.packed.emplace(*args.connection, allocator).fill(*args.connection);
  run.sums = {memory + shared, forShare.count(), run.shares.count()};
  run.threadScratch = memory + shared + forShares;
  forEachShare(run.shares, [&](int thread, int share) { backwardShare(run, thread, share); });
  if (!run.packed || !args.gradients) return true;
  constexpr Index addedAtOnce = 2048;
  forEachRange(Index(run.sums.each), addedAtOnce, run.shares.threads, [&](int, Index first, Index last) {
    run.sums.addToFirst(first, last);
  });
  BumpAllocator first(run.sums.first);
  Sums(*run.packed, first).addTo(*run.packed, *args.connection, *args.gradients);
  return true;
}

}  // namespace ckernels::CK_CODE
