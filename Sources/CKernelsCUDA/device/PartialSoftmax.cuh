// The online softmax of attention over a cache: a lane's partial sums, and their combination over a warp.
namespace ckernels::cuda::attention {

constexpr AttentionShape shape(WB_HEAD, WB_FORMAT, WB_ELEMENT_BYTES, WB_QUERIES);
constexpr int warps = shape.warps, threads = shape.threads, head = WB_HEAD, queries = WB_QUERIES;
constexpr int channels = shape.channels(), lanes = shape.lanes(), loads = shape.loads;
constexpr int together = 32 / lanes;  ///< positions in one load of a warp
/// The initial value of a largest score: finite, so that differences are.
constexpr float lowest = -1e30f;

typedef ElementOf<shape.cacheBytes()>::Type Stored;

/// A lane's partial softmax: the sums of its channels over its positions, and their largest score and total.
struct PartialSoftmax {
  float values[queries][channels] = {}, largest[queries], total[queries] = {};

  WB_DEVICE PartialSoftmax() {
#pragma unroll
    for (int each = 0; each < queries; each++) largest[each] = lowest;
  }

  /// Adds positions to query `each`: their scores, the largest score `newMaximum` of these and earlier ones, and their values.
  WB_DEVICE void add(
      int each, float newMaximum, const float (&scores)[loads], const float (&scales)[loads],
      const float (&positions)[loads][channels]) {
    const float factor = powerOfTwo(largest[each] - newMaximum);
    largest[each] = newMaximum;
    total[each] *= factor;
#pragma unroll
    for (int j = 0; j < channels; j++) values[each][j] *= factor;
#pragma unroll
    for (int i = 0; i < loads; i++) {
      const float weight = powerOfTwo(scores[i] - newMaximum);
      total[each] += weight;
#pragma unroll
      for (int j = 0; j < channels; j++) values[each][j] += weight * scales[i] * positions[i][j];
    }
  }

  /// Combines the partial softmaxes of a warp's lanes and stores the result in shared memory.
  WB_DEVICE void combineLanes(float *sums, float *extremes) {
    const int warp = threadIndex() / 32, lane = threadIndex() % 32, c = lane % lanes * channels;
#pragma unroll
    for (int each = 0; each < queries; each++) {
#pragma unroll
      for (int mask = lanes; mask < 32; mask *= 2) {
        const float other = fromLane(largest[each], mask), newMaximum = maximum(other, largest[each]);
        const float factor = powerOfTwo(largest[each] - newMaximum), otherFactor = powerOfTwo(other - newMaximum);
        largest[each] = newMaximum;
        total[each] = total[each] * factor + fromLane(total[each], mask) * otherFactor;
#pragma unroll
        for (int j = 0; j < channels; j++)
          values[each][j] = values[each][j] * factor + fromLane(values[each][j], mask) * otherFactor;
      }
      const int place = warp * queries + each;
      if (lane < lanes && c < head)
#pragma unroll
        for (int j = 0; j < channels; j++) sums[place * head + c + j] = values[each][j];
      if (lane == 0) {
        extremes[place * 2] = largest[each];
        extremes[place * 2 + 1] = total[each];
      }
    }
  }
};

}  // namespace ckernels::cuda::attention
