// Attention of a few new positions over the KV cache of their sequence. A block has some queries of one key head and one
// range of the positions; it normalizes and rotates its queries and the new keys of its range. The last block of those with
// the same queries combines their partial softmaxes.
#include "DecodingLayout.cuh"
#include "Device.cuh"
#include "Numerics.cuh"
#include "PartialSoftmax.cuh"

namespace ckernels::cuda::attention {

class Attention {
  const AttentionArguments &arguments;
  const int warp = threadIndex() / 32, lane = threadIndex() % 32;
  const int group = arguments.heads / arguments.keyHeads;
  const int split = blockIndex() % arguments.splits, task = blockIndex() / arguments.splits;
  const AttentionSequence *sequence = arguments.sequences;
  int firstRow = 0;    ///< of the sequence's new positions, among all
  int firstQuery = 0;  ///< of the block, among the sequence's
  int keyHead = 0;
  int start = 0, begin = 0, end = 0;  ///< the sequence's first new position, and the block's range

  // Shared memory, as AttentionShape::bytes() counts it.
  float *const scaled = reinterpret_cast<float *>(sharedMemory());
  float *const keyOfWarp = scaled + shape.queryCount();
  float *const sums = keyOfWarp + warps * head;
  float *const extremes = sums + shape.sumCount();
  float *const rangeWeights = extremes + shape.extremeCount();
  int *const isLast = reinterpret_cast<int *>(rangeWeights + AttentionShape::maximumSplits * queries);

  WB_DEVICE int tilesOf(const AttentionSequence &sequence) const { return ceiling(sequence.rows * group, queries); }

  /// Locates the block's sequence, queries and range.
  WB_DEVICE void locate() {
    int rest = task;
    for (; rest >= tilesOf(*sequence) * arguments.keyHeads; sequence++) {
      rest -= tilesOf(*sequence) * arguments.keyHeads;
      firstRow += sequence->rows;
    }
    keyHead = rest % arguments.keyHeads;
    firstQuery = rest / arguments.keyHeads * queries;
    start = int(sequence->start + (sequence->position ? *sequence->position : 0));
    const int length = start + sequence->rows, each = ceiling(length, arguments.splits);
    begin = split * each;
    end = begin + each < length ? begin + each : length;
  }

  /// The row of query `each` of the block among the sequence's new ones; at least `sequence->rows` where there is none.
  WB_DEVICE int rowOf(int each) const { return (firstQuery + each) / group; }

  WB_DEVICE const float *projectedAt(int row, int place) const {
    const long long width = arguments.heads + 2 * arguments.keyHeads;
    return arguments.projected + ((firstRow + row) * width + place) * head;
  }

  /// A warp's head of a row, normalized, rotated by the angles of its position, and multiplied by `scale`.
  WB_DEVICE void normalizeAndRotate(const float *from, const float *gain, int row, float scale, float *to) const {
    constexpr int half = head / 2;
    float squares = 0.0f;
    for (int c = lane; c < head; c += 32) squares += from[c] * from[c];
    scale *= inverseRoot(sumOfLanes(squares) / float(head) + arguments.epsilon);
    const float *cosine = arguments.cosine + (long long)(firstRow + row) * head;
    const float *sine = arguments.sine + (long long)(firstRow + row) * head;
    for (int c = lane; c < half; c += 32) {
      const float first = from[c] * gain[c] * scale, second = from[c + half] * gain[c + half] * scale;
      to[c] = first * cosine[c] - second * sine[c];
      to[c + half] = second * cosine[c + half] + first * sine[c + half];
    }
  }

  WB_DEVICE long long placeOf(int position) const { return keyHead * sequence->capacity + position; }

  /// A warp stores a head's key or value of one position in the cache.
  WB_DEVICE void storeKV(const float *from, bool isKey, int position) const {
    Stored *to = static_cast<Stored *>(isKey ? sequence->keys : sequence->values) + placeOf(position) * head;
    float inverse = 1.0f;
    if (WB_FORMAT == int8Format) {
      float largest = 0.0f;
      for (int c = lane; c < head; c += 32) largest = maximum(largest, magnitude(from[c]));
      largest = maximumOfLanes(largest);
      inverse = largest > 1e-35f ? 127.0f / largest : 0.0f;
      if (lane == 0) (isKey ? sequence->keyScales : sequence->valueScales)[placeOf(position)] = largest / 127.0f;
    }
    for (int c = lane; c < head; c += 32) assign(to[c], from[c] * inverse);
  }

  /// Stores queries in shared memory, times log2(e) / sqrt(hd), and the new keys and values of the range in the cache. Blocks
  /// of other queries store the same values there.
  WB_DEVICE void prepare() const {
    for (int each = warp; each < queries; each += warps) {
      float *to = scaled + each * head;
      if (rowOf(each) < sequence->rows) {
        const int place = keyHead * group + (firstQuery + each) % group;
        normalizeAndRotate(
            projectedAt(rowOf(each), place), arguments.queryNorm, rowOf(each), 1.44269504f * inverseRoot(float(head)),
            to);
      } else {
        for (int c = lane; c < head; c += 32) to[c] = 0.0f;
      }
    }
    for (int position = (begin > start ? begin : start) + warp; position < end; position += warps) {
      const int row = position - start, place = arguments.heads + keyHead;
      float *key = keyOfWarp + warp * head;
      normalizeAndRotate(projectedAt(row, place), arguments.keyNorm, row, 1.0f, key);
      waitForWarp();
      storeKV(key, true, position);
      storeKV(projectedAt(row, place + arguments.keyHeads), false, position);
      waitForWarp();
    }
  }

  /// A lane's channels of keys or values at its positions from `first` on, as floats without their scale.
  WB_DEVICE void load(const void *from, int first, float (&values)[loads][channels]) const {
    typedef Pack<Stored, channels> Piece;
    Piece pieces[loads];
    const int c = lane % lanes * channels;
#pragma unroll
    for (int i = 0; i < loads; i++) {
      const int position = first + i * together;
      if (position < end && c < head)
        pieces[i] = *reinterpret_cast<const Piece *>(static_cast<const Stored *>(from) + placeOf(position) * head + c);
      else
        pieces[i] = {};
    }
#pragma unroll
    for (int i = 0; i < loads; i++)
#pragma unroll
      for (int j = 0; j < channels; j++) values[i][j] = toFloat(pieces[i].at[j]);
  }

  /// A lane's partial softmax of its positions.
  WB_DEVICE void attend(PartialSoftmax &partial) const {
    const int c = lane % lanes * channels;
    for (int first = begin + warp * together * loads; first < end; first += warps * together * loads) {
      float keys[loads][channels], values[loads][channels], keyScales[loads], valueScales[loads];
      const int own = first + lane / lanes;
      load(sequence->keys, own, keys);
      load(sequence->values, own, values);
#pragma unroll
      for (int i = 0; i < loads; i++) {
        const bool isThere = own + i * together < end;
        keyScales[i] = WB_FORMAT == int8Format && isThere ? sequence->keyScales[placeOf(own + i * together)] : 1.0f;
        valueScales[i] = WB_FORMAT == int8Format && isThere ? sequence->valueScales[placeOf(own + i * together)] : 1.0f;
      }
#pragma unroll
      for (int each = 0; each < queries; each++) {
        float query[channels], scores[loads];
#pragma unroll
        for (int j = 0; j < channels; j++) query[j] = c < head ? scaled[each * head + c + j] : 0.0f;
        const int seen = start + rowOf(each) + 1, limit = seen < end ? seen : end;
        float newMaximum = partial.largest[each];
#pragma unroll
        for (int i = 0; i < loads; i++) {
          float score = 0.0f;
#pragma unroll
          for (int j = 0; j < channels; j++) score += query[j] * keys[i][j];
          score = sumOfLanes<lanes>(score);
          scores[i] = own + i * together < limit ? score * keyScales[i] : 2 * lowest;
          newMaximum = maximum(newMaximum, scores[i]);
        }
        partial.add(each, newMaximum, scores, valueScales, values);
      }
    }
  }

  /// Combines the partial softmaxes of the warps and stores the result for the block that is last.
  WB_DEVICE void combineWarps() const {
    const long long place = (long long)task * arguments.splits + split;
    for (int i = threadIndex(); i < queries * head; i += threads) {
      const int each = i / head, c = i % head;
      float overall = lowest, sum = 0.0f, total = 0.0f;
#pragma unroll
      for (int other = 0; other < warps; other++) overall = maximum(overall, extremes[(other * queries + each) * 2]);
#pragma unroll
      for (int other = 0; other < warps; other++) {
        const int at = other * queries + each;
        const float weight = powerOfTwo(extremes[at * 2] - overall);
        total += weight * extremes[at * 2 + 1];
        sum += weight * sums[at * head + c];
      }
      arguments.sums[place * queries * head + i] = sum;
      if (c == 0) {
        arguments.extremes[(place * queries + each) * 2] = overall;
        arguments.extremes[(place * queries + each) * 2 + 1] = total;
      }
    }
  }

  /// Combines the partial softmaxes of all ranges: [R, heads, hd].
  WB_DEVICE void combineRanges() const {
    const long long place = (long long)task * arguments.splits;
    const int ranges = ceiling(start + sequence->rows, ceiling(start + sequence->rows, arguments.splits));
    if (warp < queries) {
      // A lane has a range; there are never more ranges than lanes.
      const float *extreme = arguments.extremes + ((place + lane) * queries + warp) * 2;
      const float largest = lane < ranges ? fromOtherBlocks(extreme) : lowest;
      const float overall = maximumOfLanes(largest);
      const float weight = lane < ranges ? powerOfTwo(largest - overall) : 0.0f;
      const float total = sumOfLanes(lane < ranges ? weight * fromOtherBlocks(extreme + 1) : 0.0f);
      rangeWeights[lane * queries + warp] = weight / total;
    }
    waitForBlock();
    for (int i = threadIndex(); i < queries * head; i += threads) {
      const int each = i / head, c = i % head;
      if (rowOf(each) >= sequence->rows) continue;
      float sum = 0.0f;
#pragma unroll 8
      for (int other = 0; other < ranges; other++)
        sum += rangeWeights[other * queries + each] * fromOtherBlocks(arguments.sums + (place + other) * queries * head + i);
      const long long row = firstRow + rowOf(each);
      const int own = keyHead * group + (firstQuery + each) % group;
      assign(static_cast<Element *>(arguments.attentionOutput)[(row * arguments.heads + own) * head + c], sum);
    }
  }

 public:
  WB_DEVICE explicit Attention(const AttentionArguments &arguments) : arguments(arguments) { locate(); }

  WB_DEVICE void run() const {
    // An empty range has no result, but is counted like the others.
    if (begin < end) {
      prepare();
      waitForBlock();
      PartialSoftmax partial;
      attend(partial);
      partial.combineLanes(sums, extremes);
      waitForBlock();
      combineWarps();
    }
    publish();
    waitForBlock();
    if (threadIndex() == 0) *isLast = countUp(arguments.counters + task) == arguments.splits - 1;
    waitForBlock();
    if (*isLast) {
      publish();
      combineRanges();
    }
  }
};

WB_KERNEL(1) cachedAttention(WB_ARGUMENTS AttentionArguments arguments) { Attention(arguments).run(); }

}  // namespace ckernels::cuda::attention
