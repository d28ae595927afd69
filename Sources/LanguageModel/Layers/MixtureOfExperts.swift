import WidebandTorch
import WidebandVirtualWidth

/// A router and E experts, as in Qwen3-MoE: each token is routed to its k most probable experts.
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

  /// The experts with their weights in `scope` ("mlp"), after a norm with weights `norm` `[D]`.
  init(
    _ experts: ModelConfiguration.Experts, norm: Tensor, epsilon: Double, start: InitialValues, in scope: Scope
  ) throws {
    let D = norm.size(0)
    self.norm = norm
    self.epsilon = epsilon
    router = try scope["gate"].float32Tensor("weight", [experts.count, D], start.linear(inputs: D))
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

  func callAsFunction(_ x: Tensor, in context: ForwardContext) -> Tensor {
    if let output = step(x, addsInput: false, in: context) { return output }
    let x = x.rmsNorm(norm, epsilon: epsilon)
    let flat = x.flattened(0, -2)
    let logits = flat.to(.float32).linear(router)
    var (weights, chosen) = logits.softmax(-1).topK(perToken)
    if isRenormalized { weights = weights / weights.sum(-1, keep: true) }
    let loads = chosen.flattened().bincount(experts.count)
    context.routerLogits.append(logits)
    context.expertLoads.append(
      context.padding.map { Self.loads(chosen, without: $0.flattened(), experts.count) } ?? loads)
    let matrices = experts.flatMap { [$0.gate, $0.up, $0.down] }
    if let sum = flat.fusedExperts(matrices, weights: weights, chosen: chosen) { return sum.reshaped(x.shape) }
    return composed(flat, weights, chosen, loads: loads).to(x.dtype).reshaped(x.shape)
  }

  /// The sum over each token's k experts `[N, k]` of weight times output, for tokens `[N, D]`; float32.
  private func composed(_ flat: Tensor, _ weights: Tensor, _ chosen: Tensor, loads: Tensor) -> Tensor {
    let order = chosen.flattened().sorted().indices
    let tokens = order.floorDivide(by: perToken)
    let outputs = run(on: flat.indexSelect(tokens), loads: loads)
    let scale = weights.flattened().indexSelect(order).unsqueezed(-1)
    return Tensor.zeros(flat.shape, .float32, on: flat.device).addingRows(tokens, outputs.to(.float32) * scale)
  }

  /// Each expert on its own block of rows `[tokens · k, D]`.
  private func run(on rows: Tensor, loads: Tensor) -> Tensor {
    // A failed operator leaves no counts to read. Its error is stored already, and results after it are not used.
    guard let counts = try? loads.elements(Int64.self) else { return rows }
    let blocks = rows.split(counts.map(Int.init), axis: 0)
    return .concatenate(zip(experts, blocks).map { expert, block in expert(block) })
  }

  /// Tokens routed to each expert, `[E]`, for choices `[N, k]` without tokens that are padding, `[N]`.
  private static func loads(_ chosen: Tensor, without padding: Tensor, _ count: Int) -> Tensor {
    // Padding is counted for an expert E that does not exist, and that count is dropped.
    chosen.maskedFill(padding.unsqueezed(-1), Double(count)).flattened().bincount(count + 1).slice(0, 0..<count)
  }

  /// The balance loss E Σ_e fraction_e · probability_e over the routers of all layers: k when all experts get the same
  /// number of tokens, larger otherwise. Padding `[B, T]` counts in neither factor.
  ///
  /// The fractions carry no gradient. Source: Switch Transformer, arXiv 2101.03961, equation 4, as Qwen3-MoE applies it.
  static func balanceLoss(
    _ logits: [Tensor], _ experts: ModelConfiguration.Experts, without padding: Tensor? = nil
  ) -> Tensor {
    let probabilities = Tensor.concatenate(logits).softmax(-1)
    let chosen = probabilities.topK(experts.perToken).indices
    guard let padding else {
      let fraction = chosen.flattened().bincount(experts.count).to(.float32) * (1 / Double(chosen.size(0)))
      return (fraction * probabilities.mean(0)).sum() * Double(experts.count)
    }
    let isPadding = Tensor.concatenate(logits.map { _ in padding.flattened() })
    let count = isPadding.not().to(.float32).sum()
    let fraction = loads(chosen, without: isPadding, experts.count).to(.float32) / count
    let probability = probabilities.maskedFill(isPadding.unsqueezed(-1), 0).sum(0) / count
    return (fraction * probability).sum() * Double(experts.count)
  }
}
