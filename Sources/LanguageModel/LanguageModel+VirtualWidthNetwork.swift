import WidebandTorch
import WidebandVirtualWidth

extension LanguageModel {
  /// The model's embedding, connections and reduce, as in Algorithm 1; nil for a model without a virtual width, with a
  /// connection of another kind, or with n-gram memory.
  public var virtualWidthNetwork: VirtualWidthNetwork? {
    guard let reduce = readout.reduce, memory == nil else { return nil }
    let all = layers.flatMap(\.sublayers).map(\.connection)
    let connections = all.compactMap { $0 as? GeneralizedHyperConnection }
    guard connections.count == all.count else { return nil }
    return VirtualWidthNetwork(embedding: embedding, connections: connections, reduce: reduce)
  }

  /// The sublayers T in their order, attention and feed-forward of each layer: `[B, T, D]` to `[B, T, D]`.
  public func sublayers(in context: ForwardContext) -> [(Tensor) -> Tensor] {
    layers.flatMap(\.sublayers).map { part in { part.sublayer($0, in: context) } }
  }
}
