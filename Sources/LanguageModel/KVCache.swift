import WidebandTorch

/// A KV cache: the keys and values of earlier positions, layer by layer.
public protocol KVCache: AnyObject {
  /// Reserves `count` new positions of a layer and counts them as stored; the caller writes their keys and values.
  ///
  /// - Parameters:
  ///   - layer: the layer's index; prediction depths follow the model's layers.
  ///   - count: the number of new positions.
  ///   - heads: K, the number of key/value heads.
  ///   - headSize: hd, the number of channels of a head.
  ///   - activations: a tensor of the dtype and device of the keys and values.
  /// - Returns: one view per sequence, in their order in the pass.
  func reservePositions(layer: Int, count: Int, heads: Int, headSize: Int, like activations: Tensor) -> KVCacheViews

  /// Appends keys and values `[B, T, K, hd]` to a layer and computes causal attention.
  ///
  /// - Parameter queries: the queries `[B, T, H, hd]` of the same T positions.
  /// - Returns: softmax(q kᵀ / √hd) v `[B, T, H, hd]` over all stored positions up to each query's own.
  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor
}
