import WidebandTorch

extension GeneralizedHyperConnection {
  /// The sublayer's input, read in a fused kernel together with the previous connection's pending write; nil without a
  /// kernel for the state's device and dtype.
  func fusedRead(of state: borrowing State) -> FusedConnection? {
    state.read(
      .init(
        staticReadCarry: staticReadCarry, staticWrite: staticWrite, dynamicReadCarry: dynamic?.readCarryMap,
        dynamicWrite: dynamic?.writeMap, readCarryScale: dynamic?.readCarryScale, writeScale: dynamic?.writeScale,
        gain: dynamic?.norm),
      epsilon: epsilon)
  }
}

extension FusedConnection {
  /// The state after the sublayer's `output` `[B, T, D]`, with its write pending.
  func state(after output: Tensor) -> State { State(write(output)) }
}
