// Read and write: what a sublayer sees of the state, and the state after it.
#pragma once

/// input [m,C] of each token = read^T state. The read's projections are left in `kept` unless it is null.
CK_INLINE void readBlock(
    const Plan &plan, Working &working, const float *state, Index tokens, float *input, float *kept, Ahead &ahead) {
  const Shape &shape = plan.shape;
  const Index m = shape.m, n = shape.n, C = shape.C;
  computeCoefficients(plan, working, state, tokens, 0, m, ahead, kept);
  for (Index t = 0; t < tokens; t++)
    compute(Product{
        .out = input + t * m * C,
        .outRow = C,
        .rows = m,
        .columns = C,
        .termCount = 1,
        .terms = {{working.values + t * n, shape.stride, 1, state + t * n * C, C, n}},
        .ahead = &ahead,
    });
}

/// nextState [n,C] of each token = write output + carry^T state.
CK_INLINE void writeBlock(
    const Plan &plan, Working &working, const float *state, const float *output, Index tokens, float *nextState,
    float *beta, float *kept, Ahead &ahead) {
  const Shape &shape = plan.shape;
  const Index m = shape.m, n = shape.n, C = shape.C, stride = shape.stride;
  computeCoefficients(plan, working, state, tokens, m, shape.columns, ahead, kept);
  const float *carry = working.values + m * stride, *write = carry + n * stride;
  for (Index t = 0; t < tokens; t++) {
    compute(Product{
        .out = nextState + t * n * C,
        .outRow = C,
        .rows = n,
        .columns = C,
        .termCount = 2,
        .terms =
            {{write + t * n, 1, stride, output + t * m * C, C, m},
             {carry + t * n, stride, 1, state + t * n * C, C, n}},
        .ahead = &ahead,
    });
    if (beta)
      for (Index k = 0; k < m; k++) copyAside(write + k * stride + t * n, n, beta + (t * m + k) * n);
  }
}

struct ForwardRun {
  const ForwardJob &job;
  const Plan *writer;
  const Plan *reader;
  const Shape &shape;
  float *threadScratch;
  std::size_t threadCount;
  Shares shares;  ///< of the blocks
};

inline void forwardShare(void *context, int thread, int share) {
  const ForwardRun &run = *static_cast<const ForwardRun *>(context);
  const ForwardJob &job = run.job;
  Cutter cutter(run.threadScratch + run.threadCount * std::size_t(thread));
  // The write is done with its working memory when the read begins.
  Cutter again = cutter;
  const Shape &shape = run.shape;
  const Index wide = shape.n * shape.C, narrow = shape.m * shape.C;
  std::optional<Working> writing, reading;
  if (run.writer) writing.emplace(*run.writer, cutter, false);
  if (run.reader) reading.emplace(*run.reader, again, false);
  Ahead ahead;
  const Index last = run.shares.first(share + 1);
  for (Index block = run.shares.first(share); block < last; block++) {
    const Index token = block * shape.tokens, tokens = std::min<Index>(shape.tokens, job.tokens - token);
    const Index following = std::min<Index>(shape.tokens, job.tokens - token - tokens);
    ahead.begin(token, tokens, following);
    ahead.add(job.state, wide);
    ahead.add(job.input, narrow);
    ahead.add(job.output, narrow);
    ahead.add(job.nextState, wide);
    // In whole registers the write coefficients go past the caches.
    if (shape.n % lanes) ahead.add(job.beta, shape.m * shape.n);
    const float *read = job.state + token * wide;
    if (run.writer) {
      float *next = job.nextState + token * wide;
      float *beta = job.beta ? job.beta + token * shape.m * shape.n : nullptr;
      float *kept = run.writer->keptOf(block);
      writeBlock(*run.writer, *writing, read, job.output + token * narrow, tokens, next, beta, kept, ahead);
      read = next;
    }
    if (run.reader)
      readBlock(
          *run.reader, *reading, read, tokens, job.input + token * narrow, run.reader->keptOf(block), ahead);
  }
  // What was stored past the caches may otherwise become visible after what tells other threads of it.
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

inline bool forward(const ForwardJob &job, int threads) {
  Cutter count(nullptr);
  std::optional<Plan> writer, reader;
  auto plan = [&](Cutter &cutter) {
    if (job.writer) writer.emplace(*job.writer, cutter);
    if (job.reader) reader.emplace(*job.reader, cutter);
  };
  plan(count);
  const Shape shape(job.writer ? *job.writer : *job.reader);
  const std::size_t shared = count.count();
  Cutter forWriter(nullptr), forReader(nullptr);
  if (writer) Working(*writer, forWriter, false);
  if (reader) Working(*reader, forReader, false);
  const std::size_t threadCount = std::max(forWriter.count(), forReader.count());
  const Index blocks = (job.tokens + shape.tokens - 1) / shape.tokens;
  const Shares shares = usefulShares(blocks, job.tokens * shape.n * shape.C * shape.columns, threads);
  float *memory = scratch(shared + threadCount * std::size_t(shares.threads));
  if (!memory) return false;
  Cutter cutter(memory);
  plan(cutter);
  if (writer) writer->fill(*job.writer);
  if (reader) reader->fill(*job.reader);
  ForwardRun run{job, writer ? &*writer : nullptr, reader ? &*reader : nullptr, shape, memory + shared,
                 threadCount, shares};
  forEachShare(shares, forwardShare, &run);
  return true;
}
