import WidebandTorch

/// A Generalized Hyper-Connection: a sublayer of width D reads from and writes to a state of n slots.
///
/// With the coefficients of a token, read A° `[n, m]`, carry Â `[n, n]` and write B `[m, n]`,
///
///     H' = Bᵀ T(A°ᵀ H) + Âᵀ H                     H, H' [n, C]
///
/// where the m rows of A°ᵀ H, concatenated, are the D channels of the sublayer's input. The static form learns the
/// coefficients as constants; the dynamic form adds a part predicted from each slot, see `DynamicCoefficients`.
///
/// Source: arXiv 2511.11238, equations 5, 6 and 9 to 12.
public struct GeneralizedHyperConnection: HyperConnection {
  /// The constants of read and carry, [A° | Â]: `[n, m+n]`.
  let staticReadCarry: Tensor
  /// The constants of write, Bᵀ: `[n, m]`.
  let staticWrite: Tensor
  let dynamic: DynamicCoefficients?
  let epsilon: Double

  private let fractionRate: Int

  /// The connection with its weights in `scope`, for slots of C = `slotWidth` channels.
  ///
  /// - Parameters:
  ///   - width: the state's width, and the kind of coefficients.
  ///   - slotWidth: C.
  ///   - epsilon: ε of the norm before the dynamic maps.
  ///   - start: the initial values, which say which slots are read at first.
  ///   - layer: the index of the layer.
  ///   - scope: the scope of the weights.
  /// - Throws: `TorchError` for a weight that a checkpoint lacks or has in another shape.
  public init(
    _ width: VirtualWidth, slotWidth: Int, epsilon: Double, start: InitialValues = .standard, layer: Int = 0,
    in scope: Scope
  )
    throws
  {
    let (m, n) = (width.fractionRate, width.slots)
    fractionRate = m
    self.epsilon = epsilon
    staticReadCarry = try scope.float32Tensor(
      "static_alpha", [n, m + n],
      .computed { _ in .concatenate([start.read(width, layer: layer), .identity(n, n)], axis: 1) })
    staticWrite = try scope.float32Tensor("static_beta", [n, m], .computed { _ in Self.cyclicWrite(m, n) })
    dynamic =
      width.connections == .dynamic
      ? try DynamicCoefficients(width, slotWidth: slotWidth, epsilon: epsilon, in: scope) : nil
  }

  /// The state `[B, T, n, C]` after the sublayer.
  ///
  /// Fused kernels compute it if there are some for the state's device and dtype; tensor operators otherwise.
  public func callAsFunction(_ state: consuming State, around sublayer: (Tensor) -> Tensor) -> State {
    if let fused = fusedRead(of: state) {
      // The memory of a wide state is free before the sublayer runs.
      _ = consume state
      return fused.state(after: sublayer(fused.input))
    }
    let state = state.tensor
    let coefficients = coefficients(of: state)
    // One product for read and carry.
    let mixed = coefficients.readCarry.transposed().matmul(state)
    let output = sublayer(mixed.slice(-2, 0..<fractionRate).flattened(-2))
    let carried = mixed.slice(-2, fractionRate...)
    let segments = output.reshaped(Array(carried.shape.dropLast(2)) + [fractionRate, carried.size(-1)])
    return State(coefficients.writeTransposed.matmul(segments) + carried)
  }

  /// The coefficients that are learned as constants, in float32.
  public var constants: Coefficients {
    Coefficients(readCarry: staticReadCarry, writeTransposed: staticWrite, fractionRate: fractionRate)
  }

  /// The coefficients of every token of a state `[B, T, n, C]`, in the state's dtype.
  ///
  /// A static connection has the same coefficients for all tokens, without the first two axes.
  public func coefficients(of state: Tensor) -> Coefficients {
    guard let dynamic else {
      return Coefficients(
        readCarry: staticReadCarry.to(state.dtype), writeTransposed: staticWrite.to(state.dtype),
        fractionRate: fractionRate)
    }
    let all = dynamic.added(to: .concatenate([staticReadCarry, staticWrite], axis: 1), from: state).to(state.dtype)
    let parts = all.split([staticReadCarry.size(1), staticWrite.size(1)])
    return Coefficients(readCarry: parts[0], writeTransposed: parts[1], fractionRate: fractionRate)
  }

  /// Bᵀ at the start: slot j receives segment j mod m.
  private static func cyclicWrite(_ m: Int, _ n: Int) -> Tensor {
    Tensor((0..<n).flatMap { slot in (0..<m).map { Float($0 == slot % m ? 1 : 0) } }, shape: [n, m])
  }
}
