import Torch

extension AdapterConfiguration.Initialization {
  /// What peft takes out of a weight W `[out, in]` before it trains adapters of rank r and scale s, as adapters: B₀ `[out,
  /// r]` and A₀ `[r, in]` with s B₀ A₀ taken out.
  ///
  /// Adapters A and B that were trained beside what is left give W + s (B A - B₀ A₀), which is an adapter of rank 2r
  /// beside W itself. So the model's weights stay as they are, in their file and in their type.
  ///
  /// - Parameter weight: W, of floats.
  func removed(from weight: Tensor, rank: Int, scale: Double) -> (down: Tensor, up: Tensor) {
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

  /// The adapters of one module that stand beside the weight as it is, of rank 2r, from those that were trained.
  ///
  /// - Throws: `TorchError` if the weight is none of floats or has fewer than r rows or columns.
  func adapters(
    down: Tensor, up: Tensor, beside weight: Tensor, _ configuration: AdapterConfiguration
  ) throws -> (down: Tensor, up: Tensor) {
    let rank = configuration.rank
    guard weight.dtype.isFloatingPoint, weight.rank == 2, weight.shape.allSatisfy({ $0 >= rank }) else {
      throw TorchError(
        "the weight is \(weight.dtype) of shape \(weight.shape): expected floats with at least \(rank) rows and columns, "
          + "as init_lora_weights is \(rawValue)")
    }
    return try withTorch {
      withoutGradients {
        let removed = removed(from: weight, rank: rank, scale: configuration.scale)
        return (
          .concatenate([down.to(.float32), removed.down], axis: 0),
          .concatenate([up.to(.float32), -removed.up], axis: 1)
        )
      }
    }
  }
}
