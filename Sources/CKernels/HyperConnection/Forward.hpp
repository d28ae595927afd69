// The forward pass: the read of a sublayer's input from the state, and the write of its output to the state.
#pragma once

#include "HyperConnection/Coefficients.hpp"

namespace ckernels {
namespace CK_CODE {

/// input [m,C] of each token = read^T state. The read's projections are stored in `saved` unless it is null.
CK_INLINE void readBlock(
    const Plan &plan, Working &working, const float *state, Index tokens, float *input, float *saved,
    BlockPrefetch &prefetch) {
  const Shape &shape = plan.shape;
  const Index m = shape.m, n = shape.n, C = shape.C;
  computeCoefficients(plan, working, state, tokens, 0, m, prefetch, saved);
  for (Index t = 0; t < tokens; t++)
    compute(Product{
        .out = input + t * m * C,
        .outRow = C,
        .rows = m,
        .columns = C,
        .termCount = 1,
        .terms = {{working.values + t * n, shape.stride, 1, state + t * n * C, C, n}},
        .prefetch = &prefetch,
    });
}

/// nextState [n,C] of each token = write output + carry^T state.
CK_INLINE void writeBlock(
    const Plan &plan, Working &working, const float *state, const float *output, Index tokens, float *nextState,
    float *savedWrite, float *saved, BlockPrefetch &prefetch) {
  const Shape &shape = plan.shape;
  const Index m = shape.m, n = shape.n, C = shape.C, stride = shape.stride;
  computeCoefficients(plan, working, state, tokens, m, shape.columns, prefetch, saved);
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

struct ForwardRun {
  const ck_connection_forward_args &args;
  const Plan *writer;
  const Plan *reader;
  const Shape &shape;
  float *threadScratch;
  std::size_t threadCount;
  Shares shares;  ///< of the blocks
};

inline void forwardShare(void *context, int thread, int share) {
  const ForwardRun &run = *static_cast<const ForwardRun *>(context);
  const ck_connection_forward_args &args = run.args;
  BumpAllocator allocator(run.threadScratch + run.threadCount * std::size_t(thread));
  // The read reuses the working memory of the write.
  BumpAllocator reused = allocator;
  const Shape &shape = run.shape;
  const Index stateSize = shape.n * shape.C, inputSize = shape.m * shape.C;
  std::optional<Working> writing, reading;
  if (run.writer) writing.emplace(*run.writer, allocator, false);
  if (run.reader) reading.emplace(*run.reader, reused, false);
  BlockPrefetch prefetch;
  const Index last = run.shares.first(share + 1);
  for (Index block = run.shares.first(share); block < last; block++) {
    const Index token = block * shape.tokens, tokens = std::min<Index>(shape.tokens, args.tokens - token);
    const Index following = std::min<Index>(shape.tokens, args.tokens - token - tokens);
    prefetch.begin(token, tokens, following);
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
  }
  // Otherwise stores past the caches may become visible after the signal that the share is done.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

inline bool connectionForward(const ck_connection_forward_args &args, int threads) {
  BumpAllocator count(nullptr);
  std::optional<Plan> writer, reader;
  auto plan = [&](BumpAllocator &allocator) {
    if (args.writer) writer.emplace(*args.writer, allocator);
    if (args.reader) reader.emplace(*args.reader, allocator);
  };
  plan(count);
  const Shape shape(args.writer ? *args.writer : *args.reader);
  const std::size_t shared = count.count();
  BumpAllocator forWriter(nullptr), forReader(nullptr);
  if (writer) Working(*writer, forWriter, false);
  if (reader) Working(*reader, forReader, false);
  const std::size_t threadCount = std::max(forWriter.count(), forReader.count());
  const Index blocks = (args.tokens + shape.tokens - 1) / shape.tokens;
  const Shares shares = usefulShares(blocks, args.tokens * shape.n * shape.C * shape.columns, threads);
  float *memory = scratch(shared + threadCount * std::size_t(shares.threads));
  if (!memory) return false;
  BumpAllocator allocator(memory);
  plan(allocator);
  if (writer) writer->fill(*args.writer);
  if (reader) reader->fill(*args.reader);
  ForwardRun run{args,  writer ? &*writer : nullptr, reader ? &*reader : nullptr, shape, memory + shared, threadCount,
                 shares};
  forEachShare(shares, forwardShare, &run);
  return true;
}

}  // namespace CK_CODE
}  // namespace ckernels
