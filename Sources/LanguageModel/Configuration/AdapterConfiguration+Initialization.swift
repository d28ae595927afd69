import WidebandTorch

extension AdapterConfiguration.Initialization {
  /// The initial adapter A₀ `[r, in]` and B₀ `[out, r]`, whose product peft subtracts from a weight W `[out, in]`
  /// before training: adapters A and B are trained on top of W - s B₀ A₀.
  ///
  /// The trained weight is W + s (B A - B₀ A₀), which is W with an adapter of rank 2r. So W can be used unchanged, as
  /// it is stored.
  ///
  /// - Parameters:
  ///   - weight: W, of floats.
  ///   - rank: r.
  ///   - scale: s.
  func initialAdapter(of weight: Tensor, rank: Int, scale: Double) -> (down: Tensor, up: Tensor) {
    let weight = weight.to(.float32)
    switch self {
    case .pissa:
      let (left, values, right) = weight.singularValues()
      let roots = (values.slice(0, 0..<rank) / scale).squareRoot()
      return (right.slice(0, 0..<rank) * roots.reshaped([rank, 1]), left.slice(1, 0..<rank) * roots)
    case .olora:
      let (orthogonal, triangular) = weight.orthogonalTriangular()
      return (triangular.slice(0, 0..<rank), orthogonal.slice(1, 0..<rank))
    }
  }

  /// The adapter of rank 2r of the unchanged weight W, from the adapter A `[r, in]` and B `[out, r]` that was trained
  /// on top of W - s B₀ A₀.
  ///
  /// - Throws: `TorchError` if the weight has an integer dtype or fewer than r rows or columns.
  func adapterOfUnchangedWeight(
    _ weight: Tensor, down: Tensor, up: Tensor, _ configuration: AdapterConfiguration
  ) throws -> (down: Tensor, up: Tensor) {
    let rank = configuration.rank
    guard weight.dtype.isFloatingPoint, weight.rank == 2, weight.shape.allSatisfy({ $0 >= rank }) else {
      throw TorchError(
        "the weight is \(weight.dtype) of shape \(weight.shape): expected floats with at least \(rank) rows and columns, "
          + "as init_lora_weights is \(rawValue)")
    }
    return try withTorch {
      withoutGradients {
        let initial = initialAdapter(of: weight, rank: rank, scale: configuration.scale)
        return (
          .concatenate([down.to(.float32), initial.down], axis: 0),
          .concatenate([up.to(.float32), -initial.up], axis: 1)
        )
      }
    }
  }
}
