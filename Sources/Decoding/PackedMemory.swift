import LanguageModel
import Torch

/// The caches of several texts whose new positions stand side by side in one row.
final class PackedMemory: KeyValueMemory {
  private let segments: [(cache: KeyValueCache, range: Range<Int>)]

  /// - Parameter texts: each text's cache and the positions of its part of the row, in their order there.
  init(_ texts: [(cache: KeyValueCache, positions: Range<Int>)]) {
    var end = 0
    segments = texts.map { cache, positions in
      defer { end += positions.count }
      return (cache, end..<(end + positions.count))
    }
  }

  func extended(layer: Int, by _: Int, heads: Int, headSize: Int, like activations: Tensor) -> KeptTexts {
    KeptTexts(
      segments.flatMap { cache, range in
        cache.extended(layer: layer, by: range.count, heads: heads, headSize: headSize, like: activations).texts
      })
  }

  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    let found = segments.map { cache, range in
      cache.attend(
        layer: layer, queries: queries.slice(1, range), keys: keys.slice(1, range), values: values.slice(1, range))
    }
    return found.count == 1 ? found[0] : .concatenate(found, axis: 1)
  }
}
