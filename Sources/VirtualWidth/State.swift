import Torch

/// The state `[B, T, n, C]` on its way through the network.
///
/// A connection may leave its write to the next one, which then does it in the same pass over memory as its own read;
/// who wants the state as a tensor has the write done.
public struct State {
  private enum Content {
    case whole(Tensor)
    case pending(FusedConnection.Write)
  }

  private let content: Content

  /// A state that is all there: `[B, T, n, C]`.
  public init(_ tensor: Tensor) { content = .whole(tensor) }

  /// The state that a write will give.
  init(_ write: FusedConnection.Write) { content = .pending(write) }

  /// The state as a tensor `[B, T, n, C]`.
  public var tensor: Tensor {
    switch content {
    case .whole(let tensor): tensor
    case .pending(let write): write.state
    }
  }

  /// Reads a sublayer's input through the fused kernels; nil where there is none for it.
  func read(_ weights: FusedConnection.Weights, epsilon: Double) -> FusedConnection? {
    if case .pending(let write) = content,
      let fused = FusedConnection(reading: write, weights, epsilon: epsilon)
    {
      return fused
    }
    return FusedConnection(reading: tensor, weights, epsilon: epsilon)
  }
}
