import WidebandTorch
import WidebandVirtualWidth

/// A sequence of random tensors that a seed determines.
public struct RandomTensors {
  private let generator: Generator

  /// The sequence of a seed.
  public init(seed: UInt64) throws { generator = try Generator(seed: seed) }

  /// Independent samples of a normal distribution.
  public func normal(_ shape: Int..., around mean: Double = 0, deviation: Double = 1) -> Tensor {
    .normal(shape, mean: mean, standardDeviation: deviation, from: generator)
  }

  /// Random integers from 0 to `end` - 1.
  public func tokens(_ shape: Int..., below end: Int) -> Tensor { .integers(shape, in: 0..<end, from: generator) }

  /// The weights of a hyper-connection by name, far from their initial values.
  public func connection(_ width: VirtualWidth, slotWidth C: Int) -> [String: Tensor] {
    let (m, n) = (width.fractionRate, width.slots)
    var weights = [
      "static_alpha": normal(n, m + n, deviation: 0.5), "static_beta": normal(n, m, deviation: 0.5),
    ]
    guard width.connections == .dynamic else { return weights }
    weights["dynamic_alpha"] = normal(m + n, C)
    weights["dynamic_beta"] = normal(m, C)
    weights["alpha_scale"] = normal(n, m + n, deviation: 0.5)
    weights["beta_scale"] = normal(n, m, deviation: 0.5)
    weights["norm.weight"] = normal(C, around: 1, deviation: 0.3)
    return weights
  }
}
