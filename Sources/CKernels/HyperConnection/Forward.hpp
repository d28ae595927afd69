// The forward pass: the read of a sublayer's input from the state, and the write of its output to the state.
#pragma once

#include "HyperConnection/Blocks.hpp"

namespace ckernels::CK_CODE {

/// input [m,C] of each token = read^T state. The read's projections are stored in `saved` unless it is null.
CK_INLINE void readBlock(
    const PackedConnection &packed, Working &working, const float *state, Index tokens, float *input, float *saved,
    BlockPrefetch &prefetch) {
  const Shape &shape = packed.shape;
  computeCoefficients(packed, working, state, tokens, 0, shape.m, prefetch, saved);
  multiplySlots(shape, working.values, shape.stride, shape.n, state, tokens, input, prefetch);
}

/// nextState [n,C] of each token = write output + carry^T state.
CK_INLINE void writeBlock(
    const PackedConnection &packed, Working &working, const float *state, const float *output, Index tokens,
    float *nextState, float *savedWrite, float *saved, BlockPrefetch &prefetch) {
  const Shape &shape = packed.shape;
  const Index m = shape.m, n = shape.n, C = shape.C, stride = shape.stride;
  computeCoefficients(packed, working, state, tokens, m, shape.columns, prefetch, saved);
  const float *carry = working.values + m * stride, *write = carry + n * stride;
  for (Index t = 0; t < tokens; t++) {
    compute(Product{
        .out = nextState + t * n * C,
        .outRow = C,
        .rows = n,
        .columns = C,
        .termCount = 2,
        .terms =
            {{write + t * n, 1, stride, output + t * m * C, C, m}, {carry + t * n, stride, 1, state + t * n * C, C, n}},
        .prefetch = &prefetch,
    });
    if (savedWrite)
      for (Index k = 0; k < m; k++) copyNontemporal(write + k * stride + t * n, n, savedWrite + (t * m + k) * n);
  }
}

struct ForwardRun : BlockRun<ck_connection_forward_args> {
  using BlockRun::BlockRun;
  std::optional<PackedConnection> writer, reader;
};

inline void forwardShare(const ForwardRun &run, int thread, int share) {
  const ck_connection_forward_args &args = run.args;
  BumpAllocator allocator = run.memoryOf(thread);
  // The read reuses the working memory of the write.
  BumpAllocator reused = allocator;
  const Shape &shape = run.shape;
  const Index stateSize = shape.n * shape.C, inputSize = shape.m * shape.C;
  std::optional<Working> writing, reading;
  if (run.writer) writing.emplace(*run.writer, allocator, false);
  if (run.reader) reading.emplace(*run.reader, reused, false);
  run.forEachBlock(share, [&](Index block, Index token, Index tokens, BlockPrefetch &prefetch) {
    prefetch.add(args.state, stateSize);
    prefetch.add(args.input, inputSize);
    prefetch.add(args.output, inputSize);
    prefetch.add(args.next_state, stateSize);
    // In whole registers the write coefficients are stored past the caches.
    if (shape.n % lanes) prefetch.add(args.saved_write, shape.m * shape.n);
    const float *read = args.state + token * stateSize;
    if (run.writer) {
      float *next = args.next_state + token * stateSize;
      float *savedWrite = args.saved_write ? args.saved_write + token * shape.m * shape.n : nullptr;
      float *saved = run.writer->projectionsOf(block);
      writeBlock(
          *run.writer, *writing, read, args.output + token * inputSize, tokens, next, savedWrite, saved, prefetch);
      read = next;
    }
    if (run.reader)
      readBlock(
          *run.reader, *reading, read, tokens, args.input + token * inputSize, run.reader->projectionsOf(block),
          prefetch);
  });
  // Otherwise stores past the caches may become visible after the signal that the share is done.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

inline bool connectionForward(const ck_connection_forward_args &args, int threads) {
  BumpAllocator count(nullptr), forWriter(nullptr), forReader(nullptr);
  if (args.writer) Working(PackedConnection(*args.writer, count), forWriter, false);
  if (args.reader) Working(PackedConnection(*args.reader, count), forReader, false);
  const Shape shape(args.writer ? *args.writer : *args.reader);
  ForwardRun run(args, shape, std::max(forWriter.count(), forReader.count()), threads);
  float *memory = scratch(count.count() + run.scratchCount());
  if (!memory) return false;
  BumpAllocator allocator(memory);
  if (args.writer) run.writer.emplace(*args.writer, allocator).fill(*args.writer);
  if (args.reader) run.reader.emplace(*args.reader, allocator).fill(*args.reader);
  run.threadScratch = memory + count.count();
  forEachShare(run.shares, [&](int thread, int share) { forwardShare(run, thread, share); });
  return true;
}

}  // namespace ckernels::CK_CODE
