import WidebandTorch

/// A connection between the state and a sublayer (attention or feed-forward).
///
/// It reads the sublayer's input `[B, T, D]` from the state and writes the sublayer's output, of the same shape, to the
/// state. Sublayers do not depend on the state's width, and model code does not depend on the kind of connection.
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
