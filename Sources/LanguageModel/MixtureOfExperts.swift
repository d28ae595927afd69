import Torch
import VirtualWidth

/// A router and E experts, of which each token is sent to the k most probable, as in Qwen3-MoE.
///
/// The router works in float32. Tokens are sorted by expert, so that each expert sees one contiguous block.
struct MixtureOfExperts: FeedForward {
  private let router: Tensor
  private let experts: [SwiGLU]
  private let perToken: Int
  private let isRenormalized: Bool
  private let norm: Tensor
  private let epsilon: Double
  let weights: FeedForwardWeights

  /// The experts whose weights lie in `scope` ("mlp"), behind a norm with weights `norm` `[D]`.
  init(
    _ experts: ModelConfiguration.Experts, norm: Tensor, epsilon: Double, start: InitialValues, in scope: Scope
  ) throws {
    let D = norm.size(0)
    self.norm = norm
    self.epsilon = epsilon
    router = try scope["gate"].precise("weight", [experts.count, D], start.linear(inputs: D))
    self.experts = try (0..<experts.count).map {
      try SwiGLU(
        hiddenSize: D, intermediateSize: experts.intermediateSize, start: start, in: scope["experts"][$0])
    }
    perToken = experts.perToken
    isRenormalized = experts.isRenormalized
    weights = FeedForwardWeights(
      norm: norm, epsilon: epsilon, routing: (router, perToken, isRenormalized),
      networks: self.experts.map { (gate: $0.gate, up: $0.up, down: $0.down) })
  }

  func callAsFunction(_ x: Tensor, in pass: Pass) -> Tensor {
    if let output = step(x, addsInput: false, in: pass) { return output }
    let x = x.rmsNorm(norm, epsilon: epsilon)
    let flat = x.flattened(0, -2)
    let logits = flat.to(.float32).linear(router)
    var (weights, chosen) = logits.softmax(-1).top(perToken)
    if isRenormalized { weights = weights / weights.sum(-1, keep: true) }
    let loads = chosen.flattened().counts(experts.count)
    pass.routerLogits.append(logits)
    pass.expertLoads.append(pass.padding.map { Self.loads(chosen, without: $0.flattened(), experts.count) } ?? loads)
    let matrices = experts.flatMap { [$0.gate, $0.up, $0.down] }
    if let sum = flat.fusedExperts(matrices, shares: weights, chosen: chosen) { return sum.reshaped(x.shape) }
    return composed(flat, weights, chosen, loads: loads).to(x.dtype).reshaped(x.shape)
  }

  /// Tokens `[N, D]` through the experts that were chosen for each, `[N, k]`, by their weights; float32.
  private func composed(_ flat: Tensor, _ weights: Tensor, _ chosen: Tensor, loads: Tensor) -> Tensor {
    let order = chosen.flattened().sorted().indices
    let tokens = order.dividedDown(by: perToken)
    let outputs = run(on: flat.rows(tokens), loads: loads)
    let scale = weights.flattened().rows(order).unsqueezed(-1)
    return Tensor.zeros(flat.shape, .float32, on: flat.device).addingRows(tokens, outputs.to(.float32) * scale)
  }

  /// Each expert on its own block of rows `[tokens · k, D]`.
  private func run(on rows: Tensor, loads: Tensor) -> Tensor {
    // A failed operator leaves no counts to read; its error is on record already and all that follows is void.
    guard let counts = try? loads.elements(Int64.self) else { return rows }
    let blocks = rows.split(counts.map(Int.init), axis: 0)
    return .concatenate(zip(experts, blocks).map { expert, block in expert(block) })
  }

  /// Tokens that each expert was sent, `[E]`, of those `[N, k]` that are no padding, `[N]`.
  private static func loads(_ chosen: Tensor, without padding: Tensor, _ count: Int) -> Tensor {
    // Padding is sent to one expert more than there are, who is left out.
    chosen.masked(padding.unsqueezed(-1), Double(count)).flattened().counts(count + 1).slice(0, 0..<count)
  }

  /// E Σ_e share_e · probability_e over the routers of all layers together: 1·k at best, larger when some experts
  /// are sent more than others. Tokens that are padding, `[B, T]`, count in neither factor.
  ///
  /// The shares carry no gradient. Source: Switch Transformer, arXiv 2101.03961, equation 4, as Qwen3-MoE applies it.
  static func balanceLoss(
    _ logits: [Tensor], _ experts: ModelConfiguration.Experts, without padding: Tensor? = nil
  ) -> Tensor {
    let probabilities = Tensor.concatenate(logits).softmax(-1)
    let chosen = probabilities.top(experts.perToken).indices
    guard let padding else {
      let share = chosen.flattened().counts(experts.count).to(.float32) * (1 / Double(chosen.size(0)))
      return (share * probabilities.mean(0)).sum() * Double(experts.count)
    }
    let isPadding = Tensor.concatenate(logits.map { _ in padding.flattened() })
    let count = isPadding.not().to(.float32).sum()
    let share = loads(chosen, without: isPadding, experts.count).to(.float32) / count
    let probability = probabilities.masked(isPadding.unsqueezed(-1), 0).sum(0) / count
    return (share * probability).sum() * Double(experts.count)
  }
}
