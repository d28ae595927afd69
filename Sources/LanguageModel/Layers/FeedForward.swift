import WidebandTorch
import WidebandVirtualWidth

/// The second sublayer of a layer, which sees each position alone: a dense network or experts.
protocol FeedForward: Sublayer {
  /// The weights as the decoding kernel takes them.
  var weights: FeedForwardWeights { get }
}

extension FeedForward {
  func step(_ x: Tensor, addsInput: Bool, in context: ForwardContext) -> Tensor? {
    context.cache == nil ? nil : x.feedForwardSublayer(weights, addsInput: addsInput)
  }
}

/// W_down (silu(W_gate x) ∘ W_up x).
struct SwiGLU {
  let gate: WeightMatrix
  let up: WeightMatrix
  let down: WeightMatrix

  /// The network with its weights in `scope` ("mlp" or one expert).
  init(hiddenSize D: Int, intermediateSize F: Int, start: InitialValues, in scope: Scope) throws {
    gate = try scope["gate_proj"].matrix("weight", F, D, start.linear(inputs: D))
    up = try scope["up_proj"].matrix("weight", F, D, start.linear(inputs: D))
    down = try scope["down_proj"].matrix("weight", D, F, start.linear(inputs: F))
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    x.fusedSwiGLU(gate: gate, up: up, down: down) ?? (x.linear(gate).silu() * x.linear(up)).linear(down)
  }
}

/// A norm and one network.
struct DenseFeedForward: FeedForward {
  private let norm: Tensor
  private let epsilon: Double
  private let network: SwiGLU
  let weights: FeedForwardWeights

  /// The network with its weights in `scope` ("mlp"), after a norm with weights `norm` `[D]`.
  init(_ configuration: ModelConfiguration, norm: Tensor, start: InitialValues, in scope: Scope) throws {
    self.norm = norm
    epsilon = configuration.normEpsilon
    network = try SwiGLU(
      hiddenSize: configuration.hiddenSize, intermediateSize: configuration.intermediateSize, start: start, in: scope)
    weights = FeedForwardWeights(
      norm: norm, epsilon: epsilon, networks: [(gate: network.gate, up: network.up, down: network.down)])
  }

  func callAsFunction(_ x: Tensor, in context: ForwardContext) -> Tensor {
    if let output = step(x, addsInput: false, in: context) { return output }
    return network(x.rmsNorm(norm, epsilon: epsilon))
  }
}
