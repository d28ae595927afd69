import WidebandTorch

/// How a sublayer (attention or feed-forward) reads from the state that runs through the network and writes back to it.
///
/// A sublayer maps `[B, T, D]` to `[B, T, D]` and knows nothing of the state's width. A connection reads the sublayer's
/// input out of the state and writes its output into the state. Model code does not depend on the kind of connection.
public protocol HyperConnection {
  /// The state after the sublayer, from the state `[B, T, n, C]` before it.
  func callAsFunction(_ state: consuming State, around sublayer: (Tensor) -> Tensor) -> State
}

extension HyperConnection {
  /// The state `[B, T, n, C]` after the sublayer as a tensor.
  public func callAsFunction(_ state: Tensor, around sublayer: (Tensor) -> Tensor) -> Tensor {
    self(State(state), around: sublayer).tensor
  }
}

/// The residual connection of a plain transformer: H + T(H). The state is `[B, T, 1, D]`.
public struct Residual: HyperConnection {
  /// A residual connection; it has no weights.
  public init() {}

  /// The state `[B, T, 1, D]` after the sublayer.
  public func callAsFunction(_ state: consuming State, around sublayer: (Tensor) -> Tensor) -> State {
    let state = state.tensor
    return State(state + sublayer(state.flattened(-2)).unsqueezed(-2))
  }
}
