// The backward pass over all tokens: shares of the threads, and the sum of their gradients.
#pragma once

struct BackwardRun {
  const BackwardJob &job;
  const Plan *plan;
  const Plan *writer;
  const Shape &shape;
  SharedSums sums;
  float *threadScratch;
  std::size_t threadCount;
  Shares shares;  ///< of the blocks
};

/// All a thread needs for a connection's backward pass.
struct ThreadMemory {
  Working working;
  BackwardWorking back;

  ThreadMemory(const Plan &plan, Cutter &cutter) : working(plan, cutter, true), back(plan, cutter) {}
};

inline void backwardShare(void *context, int thread, int share) {
  const BackwardRun &run = *static_cast<const BackwardRun *>(context);
  const BackwardJob &job = run.job;
  const Shape &shape = run.shape;
  Cutter cutter(run.threadScratch + run.threadCount * std::size_t(thread));
  std::optional<Sums> sums;
  std::optional<ThreadMemory> memory;
  std::optional<Working> writing;
  if (run.plan) {
    Cutter own(run.sums.of(share));
    std::fill_n(run.sums.of(share), run.sums.each, 0.0f);
    sums.emplace(*run.plan, own);
    memory.emplace(*run.plan, cutter);
    // Sums are kept for whole tables, so what no product writes must not hold chance values.
    std::fill_n(memory->back.gradients, shape.table(), 0.0f);
  }
  if (run.writer) writing.emplace(*run.writer, cutter, false);
  const Index wide = shape.n * shape.C, narrow = shape.m * shape.C;
  Ahead ahead;
  const Index last = run.shares.first(share + 1);
  for (Index block = run.shares.first(share); block < last; block++) {
    const Index token = block * shape.tokens, tokens = std::min<Index>(shape.tokens, job.tokens - token);
    const Index following = std::min<Index>(shape.tokens, job.tokens - token - tokens);
    ahead.begin(token, tokens, following);
    ahead.add(job.state, wide);
    ahead.add(job.nextStateGradient, wide);
    if (run.plan) ahead.addRun(run.plan->keptOf(block + 1), shape.projections());
    ahead.add(job.inputGradient, narrow);
    ahead.add(job.output, narrow);
    ahead.add(job.writerOutputGradient, narrow);
    ahead.add(job.writerBeta, shape.m * shape.n);
    if (!run.plan)
      ahead.add(job.writerNextStateGradient, wide);
    else if (job.stateGradient != job.nextStateGradient)
      ahead.add(job.stateGradient, wide);
    if (run.plan) {
      const BackwardInput in{
          job.state + token * wide, job.output + token * narrow, job.inputGradient + token * narrow,
          job.nextStateGradient + token * wide, run.plan->keptOf(block)};
      backwardBlock(
          *run.plan, memory->working, memory->back, *sums, in, tokens, job.stateGradient + token * wide, ahead);
    }
    if (run.writer) {
      const float *state = job.writerState ? job.writerState + token * wide : nullptr;
      const float *beta = job.writerBeta ? job.writerBeta + token * shape.m * shape.n : nullptr;
      writeBackwardBlock(
          *run.writer, *writing, state, beta, job.writerNextStateGradient + token * wide, tokens,
          job.writerOutputGradient + token * narrow, ahead);
    }
  }
}

inline bool backward(const BackwardJob &job, int threads) {
  std::optional<Plan> plan, writer;
  auto lay = [&](Cutter &cutter) {
    if (job.connection) plan.emplace(*job.connection, cutter);
    if (job.writer) writer.emplace(*job.writer, cutter);
  };
  Cutter count(nullptr), forShare(nullptr), each(nullptr);
  lay(count);
  const std::size_t shared = count.count();
  if (plan) Sums(*plan, forShare);
  if (plan) ThreadMemory(*plan, each);
  if (writer) Working(*writer, each, false);
  const Shape shape(job.connection ? *job.connection : *job.writer);
  const Index blocks = (job.tokens + shape.tokens - 1) / shape.tokens;
  const Shares shares = usefulShares(blocks, job.tokens * shape.n * shape.C * shape.columns, threads);
  const std::size_t forShares = forShare.count() * std::size_t(shares.count());
  float *memory = scratch(shared + forShares + each.count() * std::size_t(shares.threads));
  if (!memory) return false;
  Cutter cutter(memory);
  lay(cutter);
  if (plan) plan->fill(*job.connection);
  if (writer) writer->fill(*job.writer);
  SharedSums sums{memory + shared, forShare.count(), shares.count()};
  BackwardRun run{job, plan ? &*plan : nullptr, writer ? &*writer : nullptr, shape, sums, memory + shared + forShares,
                  each.count(), shares};
  forEachShare(shares, backwardShare, &run);
  if (!plan || !job.gradients) return true;
  constexpr Index addedAtOnce = 2048;
  forEachRange(Index(sums.each), addedAtOnce, shares.threads, addSums, &sums);
  Cutter first(sums.first);
  Sums(*plan, first).deliver(*plan, *job.connection, *job.gradients);
  return true;
}
