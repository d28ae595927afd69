// The backward pass over all tokens: the shares of the threads, and the sum of their gradients.
#pragma once

#include "HyperConnection/Backward.hpp"

namespace ckernels {
namespace CK_CODE {

struct BackwardRun {
  const ck_connection_backward_args &args;
  const Plan *plan;  ///< null for the backward pass of a write alone
  const Shape &shape;
  SharedSums sums;
  float *threadScratch;
  std::size_t threadCount;
  Shares shares;  ///< of the blocks
};

/// The memory of a thread for a connection's backward pass.
struct ThreadMemory {
  Working working;
  BackwardWorking back;

  ThreadMemory(const Plan &plan, BumpAllocator &allocator) : working(plan, allocator, true), back(plan, allocator) {}
};

inline void backwardShare(void *context, int thread, int share) {
  const BackwardRun &run = *static_cast<const BackwardRun *>(context);
  const ck_connection_backward_args &args = run.args;
  const Shape &shape = run.shape;
  BumpAllocator allocator(run.threadScratch + run.threadCount * std::size_t(thread));
  std::optional<Sums> sums;
  std::optional<ThreadMemory> memory;
  if (run.plan) {
    BumpAllocator own(run.sums.of(share));
    std::fill_n(run.sums.of(share), run.sums.each, 0.0f);
    sums.emplace(*run.plan, own);
    memory.emplace(*run.plan, allocator);
    // Sums are formed over whole tables, so entries that no product writes must be finite.
    std::fill_n(memory->back.gradients, shape.table(), 0.0f);
  }
  const Index stateSize = shape.n * shape.C, inputSize = shape.m * shape.C;
  BlockPrefetch prefetch;
  const Index last = run.shares.first(share + 1);
  for (Index block = run.shares.first(share); block < last; block++) {
    const Index token = block * shape.tokens, tokens = std::min<Index>(shape.tokens, args.tokens - token);
    const Index following = std::min<Index>(shape.tokens, args.tokens - token - tokens);
    prefetch.begin(token, tokens, following);
    prefetch.add(args.state, stateSize);
    prefetch.add(args.next_state_gradient, stateSize);
    if (run.plan) prefetch.addRun(run.plan->projectionsOf(block + 1), shape.projections());
    prefetch.add(args.input_gradient, inputSize);
    prefetch.add(args.output, inputSize);
    prefetch.add(args.writer_output_gradient, inputSize);
    prefetch.add(args.saved_write, shape.m * shape.n);
    if (run.plan && args.state_gradient != args.next_state_gradient) prefetch.add(args.state_gradient, stateSize);
    if (run.plan) {
      const BackwardInput in{
          args.state + token * stateSize, args.output + token * inputSize, args.input_gradient + token * inputSize,
          args.next_state_gradient + token * stateSize, run.plan->projectionsOf(block)};
      backwardBlock(
          *run.plan, memory->working, memory->back, *sums, in, tokens, args.state_gradient + token * stateSize,
          prefetch);
    }
    // For the writer, the gradient of the next state is the one that was just computed, if any.
    const float *afterWriter = run.plan ? args.state_gradient : args.next_state_gradient;
    if (args.writer)
      writeBackwardBlock(
          shape, args.saved_write + token * shape.m * shape.n, afterWriter + token * stateSize, tokens,
          args.writer_output_gradient + token * inputSize, prefetch);
  }
}

inline bool connectionBackward(const ck_connection_backward_args &args, int threads) {
  std::optional<Plan> plan;
  BumpAllocator count(nullptr), forShare(nullptr), each(nullptr);
  if (args.connection) plan.emplace(*args.connection, count);
  const std::size_t shared = count.count();
  if (plan) Sums(*plan, forShare);
  if (plan) ThreadMemory(*plan, each);
  const Shape shape(args.connection ? *args.connection : *args.writer);
  const Index blocks = (args.tokens + shape.tokens - 1) / shape.tokens;
  const Shares shares = usefulShares(blocks, args.tokens * shape.n * shape.C * shape.columns, threads);
  const std::size_t forShares = forShare.count() * std::size_t(shares.count());
  float *memory = scratch(shared + forShares + each.count() * std::size_t(shares.threads));
  if (!memory) return false;
  BumpAllocator allocator(memory);
  if (args.connection) plan.emplace(*args.connection, allocator).fill(*args.connection);
  SharedSums sums{memory + shared, forShare.count(), shares.count()};
  BackwardRun run{args, plan ? &*plan : nullptr, shape, sums, memory + shared + forShares, each.count(), shares};
  forEachShare(shares, backwardShare, &run);
  if (!plan || !args.gradients) return true;
  constexpr Index addedAtOnce = 2048;
  forEachRange(Index(sums.each), addedAtOnce, shares.threads, addSums, &sums);
  BumpAllocator first(sums.first);
  Sums(*plan, first).addTo(*plan, *args.connection, *args.gradients);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
