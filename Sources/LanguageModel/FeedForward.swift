import Torch
import VirtualWidth

/// The second sublayer of a layer: each position by itself, D → D.
protocol FeedForward {
  /// `[B, T, D]` to `[B, T, D]`.
  func callAsFunction(_ x: Tensor, in pass: Pass) -> Tensor
  /// The same weights for a few positions in one call.
  var weights: FeedForwardWeights { get }
}

extension FeedForward {
  /// The same in one call for x `[1, T, …]` of a few positions, added to x if `addsInput`; nil where there is none.
  func step(_ x: Tensor, addsInput: Bool, in pass: Pass) -> Tensor? {
    pass.memory == nil ? nil : x.feedForwardStep(weights, addsInput: addsInput)
  }
}

/// W_down (silu(W_gate x) ∘ W_up x).
struct SwiGLU {
  let gate: WeightMatrix
  let up: WeightMatrix
  let down: WeightMatrix

  /// The network whose weights lie in `scope` ("mlp" or one expert).
  init(hiddenSize D: Int, intermediateSize F: Int, start: InitialValues, in scope: Scope) throws {
    gate = try scope["gate_proj"].matrix("weight", F, D, start.linear(inputs: D))
    up = try scope["up_proj"].matrix("weight", F, D, start.linear(inputs: D))
    down = try scope["down_proj"].matrix("weight", D, F, start.linear(inputs: F))
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    x.fusedSwiGLU(gate: gate, up: up, down: down) ?? (x.linear(gate).silu() * x.linear(up)).linear(down)
  }
}

/// One network behind a norm.
struct DenseFeedForward: FeedForward {
  private let norm: Tensor
  private let epsilon: Double
  private let network: SwiGLU
  let weights: FeedForwardWeights

  /// The network in `scope` ("mlp") behind a norm with weights `norm` `[D]`.
  init(_ configuration: ModelConfiguration, norm: Tensor, start: InitialValues, in scope: Scope) throws {
    self.norm = norm
    epsilon = configuration.normEpsilon
    network = try SwiGLU(
      hiddenSize: configuration.hiddenSize, intermediateSize: configuration.intermediateSize, start: start, in: scope)
    weights = FeedForwardWeights(
      norm: norm, epsilon: epsilon, networks: [(gate: network.gate, up: network.up, down: network.down)])
  }

  func callAsFunction(_ x: Tensor, in pass: Pass) -> Tensor {
    if let output = step(x, addsInput: false, in: pass) { return output }
    return network(x.rmsNorm(norm, epsilon: epsilon))
  }
}
