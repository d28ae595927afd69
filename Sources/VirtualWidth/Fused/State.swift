import WidebandTorch

/// The state `[B, T, n, C]` between two sublayers.
///
/// A connection may leave its write pending. The next connection then does it together with its own read, in one pass
/// over memory. Reading `tensor` forces a pending write.
public struct State {
  private enum Content {
    case computed(Tensor)
    case pending(FusedConnection.Write)
  }

  private let content: Content

  /// A computed state `[B, T, n, C]`.
  public init(_ tensor: Tensor) { content = .computed(tensor) }

  /// The state after a pending write.
  init(_ write: FusedConnection.Write) { content = .pending(write) }

  /// The state as a tensor `[B, T, n, C]`.
  public var tensor: Tensor {
    switch content {
    case .computed(let tensor): tensor
    case .pending(let write): write.state
    }
  }

  /// The fused read of a connection, after the pending write if there is one; nil without a kernel for it.
  func read(_ weights: FusedConnection.Weights, epsilon: Double) -> FusedConnection? {
    if case .pending(let write) = content,
      let fused = FusedConnection(reading: write, weights, epsilon: epsilon)
    {
      return fused
    }
    return FusedConnection(reading: tensor, weights, epsilon: epsilon)
  }
}
