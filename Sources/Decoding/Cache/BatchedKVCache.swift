import WidebandLanguageModel
import WidebandTorch

/// The caches of several sequences whose new positions form one row.
final class BatchedKVCache: KVCache {
  private let segments: [(cache: SequenceKVCache, range: Range<Int>)]

  /// - Parameter sequences: each sequence's cache and the number of its new positions, in the order of the row.
  init(_ sequences: [(cache: SequenceKVCache, count: Int)]) {
    var end = 0
    segments = sequences.map { cache, count in
      defer { end += count }
      return (cache, end..<(end + count))
    }
  }

  func extended(layer: Int, by _: Int, heads: Int, headSize: Int, like activations: Tensor) -> KVCacheViews {
    KVCacheViews(
      segments.flatMap { cache, range in
        cache.extended(layer: layer, by: range.count, heads: heads, headSize: headSize, like: activations).texts
      })
  }

  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    let attended = segments.map { cache, range in
      cache.attend(
        layer: layer, queries: queries.slice(1, range), keys: keys.slice(1, range), values: values.slice(1, range))
    }
    return attended.count == 1 ? attended[0] : .concatenate(attended, axis: 1)
  }
}
