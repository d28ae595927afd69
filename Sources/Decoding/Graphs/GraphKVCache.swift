import WidebandLanguageModel
import WidebandTorch

/// The caches of sequences whose positions are stored on the device.
final class GraphKVCache: KVCache {
  private let caches: [SequenceKVCache]
  private let positions: Tensor
  /// Whether an operation was called that needs the positions on the host.
  private(set) var isUnsupported = false

  /// - Parameter positions: where each sequence's new positions begin, `[R]`.
  init(_ caches: [SequenceKVCache], at positions: Tensor) {
    (self.caches, self.positions) = (caches, positions)
  }

  func extended(layer: Int, by count: Int, heads: Int, headSize: Int, like activations: Tensor) -> KVCacheViews {
    // Tests run steps on the CPU, which never captures: its kernels take the positions from the host.
    let isOnHost = positions.device == .cpu
    let starts =
      isOnHost ? (try? CUDAGraph.$isCapturing.withValue(false) { try positions.elements(Int64.self) }) ?? [] : []
    let views = caches.indices.compactMap { row in
      caches[row].view(layer: layer, from: isOnHost ? Int(starts[row]) : 0, count: count / caches.count)
    }
    return KVCacheViews(views, starts: isOnHost ? nil : positions)
  }

  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    isUnsupported = true
    return queries
  }
}
