// The backward pass over all tokens: shares of the threads, and the sum of their gradients.
#pragma once

struct BackwardRun {
  const BackwardJob &job;
  const Plan *plan;
  const Plan *writer;
  const Shape &shape;
  float *threadScratch;
  std::size_t threadCount;
  Index blocks;
  int parts;

  float *scratchOf(int part) const { return threadScratch + threadCount * std::size_t(part); }
};

/// All a thread needs for a connection's backward pass; the sums come first, where the caller finds them again.
struct ThreadMemory {
  Sums sums;
  Working working;
  BackwardWorking back;

  ThreadMemory(const Plan &plan, Cutter &cutter)
      : sums(plan, cutter), working(plan, cutter, true), back(plan, cutter) {}
};

inline void backwardPart(void *context, int part) {
  const BackwardRun &run = *static_cast<const BackwardRun *>(context);
  const BackwardJob &job = run.job;
  const Shape &shape = run.shape;
  Cutter cutter(run.scratchOf(part));
  std::optional<ThreadMemory> memory;
  std::optional<Working> writing;
  if (run.plan) {
    memory.emplace(*run.plan, cutter);
    memory->sums.clear(*run.plan);
    // Sums are kept for whole tables, so what no product writes must not hold chance values.
    std::fill_n(memory->back.gradients, shape.table(), 0.0f);
  }
  if (run.writer) writing.emplace(*run.writer, cutter, false);
  const Index wide = shape.n * shape.C, narrow = shape.m * shape.C;
  Ahead ahead;
  const Index last = run.blocks * (part + 1) / run.parts;
  for (Index block = run.blocks * part / run.parts; block < last; block++) {
    const Index token = block * shape.tokens, tokens = std::min<Index>(shape.tokens, job.tokens - token);
    const Index following = std::min<Index>(shape.tokens, job.tokens - token - tokens);
    ahead.begin(token, tokens, following);
    ahead.add(job.state, wide);
    ahead.add(job.nextStateGradient, wide);
    ahead.add(job.inputGradient, narrow);
    ahead.add(job.output, narrow);
    ahead.add(job.writerOutputGradient, narrow);
    ahead.add(job.writerBeta, shape.m * shape.n);
    ahead.add(run.plan ? job.stateGradient : job.writerNextStateGradient, wide);
    if (run.plan) {
      const BackwardInput in{
          job.state + token * wide, job.output + token * narrow, job.inputGradient + token * narrow,
          job.nextStateGradient + token * wide};
      backwardBlock(
          *run.plan, memory->working, memory->back, memory->sums, in, tokens, job.stateGradient + token * wide, ahead);
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
  Cutter count(nullptr), each(nullptr);
  lay(count);
  const std::size_t shared = count.count();
  if (plan) ThreadMemory(*plan, each);
  if (writer) Working(*writer, each, false);
  const Shape shape(job.connection ? *job.connection : *job.writer);
  const Index blocks = (job.tokens + shape.tokens - 1) / shape.tokens;
  const int parts = usefulParts(blocks, job.tokens * shape.n * shape.C * shape.columns, threads);
  float *memory = scratch(shared + each.count() * std::size_t(parts));
  if (!memory) return false;
  Cutter cutter(memory);
  lay(cutter);
  if (plan) plan->fill(*job.connection);
  if (writer) writer->fill(*job.writer);
  BackwardRun run{job, plan ? &*plan : nullptr, writer ? &*writer : nullptr, shape, memory + shared, each.count(),
                  blocks, parts};
  forEachPart(parts, backwardPart, &run);
  if (!plan || !job.gradients) return true;
  Cutter first(run.scratchOf(0));
  Sums total(*plan, first);
  for (int part = 1; part < parts; part++) {
    Cutter next(run.scratchOf(part));
    total.add(*plan, Sums(*plan, next));
  }
  total.deliver(*plan, *job.connection, *job.gradients);
  return true;
}
