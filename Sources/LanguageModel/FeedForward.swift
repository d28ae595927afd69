import Torch
import VirtualWidth

/// The second sublayer of a layer: each position by itself, D → D.
protocol FeedForward {
  /// `[B, T, D]`, already normalised, to `[B, T, D]`.
  func callAsFunction(_ x: Tensor, in pass: Pass) -> Tensor
}

/// W_down (silu(W_gate x) ∘ W_up x).
struct SwiGLU: FeedForward {
  private let gate: WeightMatrix
  private let up: WeightMatrix
  private let down: WeightMatrix

  /// The layer whose weights lie in `scope` ("mlp" or one expert).
  init(hiddenSize D: Int, intermediateSize F: Int, start: InitialValues, in scope: Scope) throws {
    gate = try scope["gate_proj"].matrix("weight", F, D, start.linear(inputs: D))
    up = try scope["up_proj"].matrix("weight", F, D, start.linear(inputs: D))
    down = try scope["down_proj"].matrix("weight", D, F, start.linear(inputs: F))
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    x.fusedSwiGLU(gate: gate, up: up, down: down) ?? (x.linear(gate).silu() * x.linear(up)).linear(down)
  }

  func callAsFunction(_ x: Tensor, in pass: Pass) -> Tensor { self(x) }
}
