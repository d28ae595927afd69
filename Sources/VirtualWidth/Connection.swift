import Torch

/// How the state that runs through a network meets one sublayer (attention or feed-forward).
///
/// A sublayer maps `[B, T, D]` to `[B, T, D]` and knows nothing of the state's width; a connection reads the
/// sublayer's input out of the state and writes its output back. Model code does not ask which connection it has.
public protocol Connection {
  /// The state after the sublayer, from the state `[B, T, n, C]` before it.
  ///
  /// - Parameter adding: x + T(x) in one, in x's shape, for a connection that wants just that; nil where there is no
  ///   such thing.
  func callAsFunction(
    _ state: consuming State, adding: (Tensor) -> Tensor?, around sublayer: (Tensor) -> Tensor
  ) -> State
}

extension Connection {
  /// The state after the sublayer, from the state `[B, T, n, C]` before it.
  public func callAsFunction(_ state: consuming State, around sublayer: (Tensor) -> Tensor) -> State {
    self(state, adding: { _ in nil }, around: sublayer)
  }

  /// The state `[B, T, n, C]` after the sublayer as a tensor.
  public func callAsFunction(_ state: Tensor, around sublayer: (Tensor) -> Tensor) -> Tensor {
    self(State(state), around: sublayer).tensor
  }
}

/// The plain residual connection: H + T(H). The state is `[B, T, 1, D]`.
public struct Residual: Connection {
  /// A residual connection; it has no weights.
  public init() {}

  /// The state `[B, T, 1, D]` after the sublayer.
  public func callAsFunction(
    _ state: consuming State, adding: (Tensor) -> Tensor?, around sublayer: (Tensor) -> Tensor
  ) -> State {
    let state = state.tensor
    if let sum = adding(state) { return State(sum) }
    return State(state + sublayer(state.flattened(-2)).unsqueezed(-2))
  }
}
