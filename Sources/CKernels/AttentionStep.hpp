// The attention sublayer of a few new positions, from its norm to its output.
#pragma once

struct AttentionStep {
  const AttentionStepJob &job;
  const ck_attention_layer &layer;
  Index rows = 0, headSize, group, stride, splits = 1;
  int threads, parts = 1;
  float *normed = nullptr, *arranged = nullptr, *queries = nullptr, *keys = nullptr, *values = nullptr;
  float *turned = nullptr, *turnedKeys = nullptr, *scales = nullptr, *padded = nullptr, *attended = nullptr;
  float *arrangedOutput = nullptr, *partial = nullptr, *largest = nullptr, *total = nullptr, *rooms = nullptr;

  AttentionStep(const AttentionStepJob &job, int threads)
      : job(job), layer(*job.layer), headSize(layer.head_size), group(layer.heads / layer.key_value_heads),
        stride((headSize + lanes - 1) / lanes * lanes), threads(threads) {
    Index longest = 0;
    for (Index text = 0; text < job.count; text++) {
      rows += job.texts[text].rows;
      longest = std::max<Index>(longest, job.texts[text].start + job.texts[text].rows);
    }
    // A long text is split where there are too few heads and rows to go round; never so that a part is not worth its sum.
    constexpr Index worthSplitting = 256;
    const Index wanted = (threads + rows * layer.key_value_heads - 1) / (rows * layer.key_value_heads);
    splits = std::max<Index>(1, std::min(wanted, longest / worthSplitting));
    parts = usefulParts(tasks(), 4 * longest * rows * layer.heads * headSize, threads);
  }

  Index tasks() const { return rows * layer.key_value_heads * splits; }
  Index roomSize() const { return positionsTogether * group; }

  std::size_t cut(float *room) {
    Cutter cutter(room);
    const Index inputs = layer.query.inputs, all = rows * layer.heads, shared = rows * layer.key_value_heads;
    normed = cutter.take(rows * inputs);
    arranged = cutter.take(rows * Arranged::width(layer.query));
    queries = cutter.take(all * headSize);
    keys = cutter.take(shared * headSize);
    values = cutter.take(shared * headSize);
    turned = cutter.take(all * headSize);
    turnedKeys = cutter.take(shared * headSize);
    scales = cutter.take(all);
    padded = cutter.take(all * stride);
    attended = cutter.take(all * headSize);
    arrangedOutput = cutter.take(rows * Arranged::width(layer.output));
    partial = cutter.take(splits * all * stride);
    largest = cutter.take(splits * all);
    total = cutter.take(splits * all);
    rooms = cutter.take(parts * roomSize());
    return cutter.count();
  }

  void project() {
    norm(NormJob{.rows = rows, .width = layer.query.inputs, .x = job.x, .weight = layer.norm,
                 .epsilon = layer.epsilon, .y = normed, .scale = nullptr}, 1);
    const float *x = Arranged::rows(layer.query, normed, rows, arranged);
    const Index width = Arranged::width(layer.query);
    const NarrowTask all[] = {
        {&layer.query, x, rows, width, queries},
        {&layer.key, x, rows, width, keys},
        {&layer.value, x, rows, width, values}};
    narrowProducts(all, 3, threads);
  }

  void turn(Index heads, const float *x, const float *weight, float *y) {
    rotaryNorm(RotaryNormJob{.tokens = rows, .heads = heads, .width = headSize, .period = rows, .x = x,
                             .weight = weight, .cosine = job.cosine, .sine = job.sine, .epsilon = layer.epsilon,
                             .y = y, .scale = scales}, 1);
  }

  /// Turns queries and keys, and keeps the new keys and values.
  void place() {
    turn(layer.heads, queries, layer.query_norm, turned);
    turn(layer.key_value_heads, keys, layer.key_norm, turnedKeys);
    const float scale = 1 / std::sqrt(float(headSize));
    for (Index each = 0; each < rows * layer.heads; each++) {
      for (Index c = 0; c < headSize; c++) padded[each * stride + c] = turned[each * headSize + c] * scale;
      std::fill(padded + each * stride + headSize, padded + (each + 1) * stride, 0.0f);
    }
    Index row = 0;
    for (Index text = 0; text < job.count; text++)
      for (Index each = 0; each < job.texts[text].rows; each++, row++)
        for (Index head = 0; head < layer.key_value_heads; head++) {
          const Index at = (row * layer.key_value_heads + head) * headSize, position = job.texts[text].start + each;
          keep(job.texts[text], true, head, position, turnedKeys + at, headSize);
          keep(job.texts[text], false, head, position, values + at, headSize);
        }
  }

  /// One row's queries that share a key's head, over one part of the positions.
  void attendTask(Index task, float *room) {
    const Index split = task % splits, head = task / splits % layer.key_value_heads;
    const Index row = task / splits / layer.key_value_heads;
    Index text = 0, own = row;
    for (; own >= job.texts[text].rows; text++) own -= job.texts[text].rows;
    const ck_memory &memory = job.texts[text];
    const Index length = memory.start + own + 1, all = rows * layer.heads;
    const Index at = row * layer.heads + head * group;
    attend(
        memory, head, headSize, {padded + at * stride, stride, room}, group, length * split / splits,
        length * (split + 1) / splits,
        {partial + (split * all + at) * stride, largest + split * all + at, total + split * all + at});
  }

  /// The parts' sums put together and divided.
  void join() {
    const Index all = rows * layer.heads;
    for (Index each = 0; each < all; each++) {
      float most = -INFINITY, sum = 0;
      for (Index split = 0; split < splits; split++) most = std::max(most, largest[split * all + each]);
      for (Index split = 0; split < splits; split++) {
        float &share = largest[split * all + each];
        share = std::exp(share - most);
        sum += share * total[split * all + each];
      }
      float *y = attended + each * headSize;
      std::fill_n(y, headSize, 0.0f);
      for (Index split = 0; split < splits; split++) {
        const float share = largest[split * all + each] / sum;
        const float *part = partial + (split * all + each) * stride;
        for (Index c = 0; c < headSize; c++) y[c] += share * part[c];
      }
    }
  }

  void output() {
    const NarrowTask task{
        &layer.output, Arranged::rows(layer.output, attended, rows, arrangedOutput), rows,
        Arranged::width(layer.output), job.y};
    narrowProducts(&task, 1, threads);
    if (job.addsInput) addInput(job.x, rows * layer.output.outputs, job.y);
  }
};

inline void attentionStepPart(void *context, int part) {
  AttentionStep &step = *static_cast<AttentionStep *>(context);
  const Index last = step.tasks() * (part + 1) / step.parts;
  for (Index task = step.tasks() * part / step.parts; task < last; task++)
    step.attendTask(task, step.rooms + part * step.roomSize());
}

inline bool attentionStep(const AttentionStepJob &job, int threads) {
  AttentionStep step(job, threads);
  float *room = scratch(step.cut(nullptr));
  if (!room) return false;
  step.cut(room);
  step.project();
  step.place();
  forEachPart(step.parts, attentionStepPart, &step);
  step.join();
  step.output();
  return true;
}
