import TestSupport
import Testing
import WidebandTorch

@testable import WidebandLanguageModel

@Suite struct MixtureOfExpertsTests {
  private let D = 10
  private let rotary = ModelConfiguration.small()

  private func weights(_ experts: ModelConfiguration.Experts) throws -> [String: Tensor] {
    let random = try RandomTensors(seed: 11)
    var weights = ["gate.weight": random.normal(experts.count, D)]
    for expert in 0..<experts.count {
      for name in ["gate_proj", "up_proj"] {
        weights["experts.\(expert).\(name).weight"] = random.normal(experts.intermediateSize, D, deviation: 0.4)
      }
      weights["experts.\(expert).down_proj.weight"] = random.normal(D, experts.intermediateSize, deviation: 0.4)
    }
    return weights
  }

  /// The weight of the layer's input norm.
  private let norm = Tensor((0..<10).map { 1 + Float($0) / 16 }, shape: [10])

  private func run(
    _ experts: ModelConfiguration.Experts, _ weights: [String: Tensor], _ x: Tensor
  ) throws -> (output: Tensor, context: ForwardContext) {
    let layer = try MixtureOfExperts(
      experts, norm: norm, epsilon: 1e-6, start: .standard, in: WeightStore(stored: weights, mutable: false).root)
    let context = ForwardContext(length: x.size(1), configuration: rotary)
    return (try withTorch { layer(x, in: context) }, context)
  }

  /// Every expert on every token in float64, weighted by the router's probability where it is among the k largest.
  private func dense(
    _ experts: ModelConfiguration.Experts, _ weights: [String: Tensor], _ x: Tensor
  ) throws -> Tensor {
    try withTorch {
      let flat = x.to(.float64).rmsNorm(norm, epsilon: 1e-6).flattened(0, -2)
      func map(_ input: Tensor, _ name: String) throws -> Tensor {
        input.matmul(try #require(weights[name]).to(.float64).transposed())
      }
      let probabilities = try map(flat, "gate.weight").softmax(-1)
      let kth = probabilities.topK(experts.perToken).values.min(-1, keep: true)
      var routing = probabilities.maskedFill(probabilities .< kth, 0)
      if experts.isRenormalized { routing = routing / routing.sum(-1, keep: true) }
      var sum = Tensor.zeros(flat.shape, .float64)
      for expert in 0..<experts.count {
        let scope = "experts.\(expert)"
        let hidden = try map(flat, "\(scope).gate_proj.weight").silu() * map(flat, "\(scope).up_proj.weight")
        sum = sum + (try map(hidden, "\(scope).down_proj.weight")) * routing.slice(1, expert..<(expert + 1))
      }
      return sum.reshaped(x.shape)
    }
  }

  @Test(arguments: [(1, 1), (6, 1), (6, 2), (6, 6), (17, 3)], [true, false])
  func chosenExpertsAreSummed(shape: (Int, Int), isRenormalized: Bool) throws {
    let experts = ModelConfiguration.Experts(
      count: shape.0, perToken: shape.1, intermediateSize: 7, isRenormalized: isRenormalized)
    let weights = try weights(experts)
    let x = try RandomTensors(seed: 12).normal(2, 9, D)
    let (output, context) = try run(experts, weights, x)
    #expect(try relativeError(of: output, to: dense(experts, weights, x)) < 2e-6)
    let loads = try #require(context.expertLoads.first).elements(Int64.self)
    #expect(context.expertLoads.count == 1)
    #expect(loads.count == experts.count)
    #expect(loads.reduce(0, +) == Int64(18 * experts.perToken))
    #expect(loads.allSatisfy { $0 <= 18 })
  }

  @Test func theRouterWorksInFloat32() throws {
    let experts = ModelConfiguration.Experts(count: 6, perToken: 2, intermediateSize: 7)
    let weights = try weights(experts)
    let x = try withTorch { try RandomTensors(seed: 12).normal(2, 9, D).to(.bfloat16) }
    let (output, context) = try run(experts, weights, x)
    #expect(output.dtype == .bfloat16)
    let logits = try #require(context.routerLogits.first)
    #expect(logits.dtype == .float32)
    let router = try #require(weights["gate.weight"])
    let exact = try withTorch {
      x.rmsNorm(norm, epsilon: 1e-6).to(.float64).flattened(0, -2).matmul(router.to(.float64).transposed())
    }
    #expect(try relativeError(of: logits, to: exact) < 1e-6, "a router in bfloat16 would be off by 1e-3")
    #expect(try relativeError(of: output, to: dense(experts, weights, x)) < 0.02)
  }

  @Test func theOrderOfExpertsDoesNotMatter() throws {
    let experts = ModelConfiguration.Experts(count: 6, perToken: 2, intermediateSize: 7)
    let weights = try weights(experts)
    let order = [4, 2, 0, 5, 1, 3]
    var permuted = weights
    permuted["gate.weight"] = try withTorch { weights["gate.weight"]?.indexSelect(Tensor(order.map(Int64.init))) }
    for (place, expert) in order.enumerated() {
      for name in ["gate_proj", "up_proj", "down_proj"] {
        permuted["experts.\(place).\(name).weight"] = weights["experts.\(expert).\(name).weight"]
      }
    }
    let x = try RandomTensors(seed: 12).normal(2, 9, D)
    let (plain, first) = try run(experts, weights, x)
    let (other, second) = try run(experts, permuted, x)
    #expect(try relativeError(of: other, to: plain) < 1e-6)
    let loads = try #require(first.expertLoads.first).elements(Int64.self)
    #expect(try #require(second.expertLoads.first).elements(Int64.self) == order.map { loads[$0] })
  }

  @Test func expertsWithoutTokensAreLeftAlone() throws {
    let experts = ModelConfiguration.Experts(count: 4, perToken: 1, intermediateSize: 7)
    var weights = try weights(experts)
    let x = try withTorch { try RandomTensors(seed: 12).normal(1, 5, D).abs() + 0.1 }
    // All channels are positive: the third expert wins every token.
    weights["gate.weight"] = Tensor(
      (0..<4).flatMap { Array(repeating: Float($0 == 2 ? 1 : -1), count: D) }, shape: [4, D])
    let store = WeightStore(stored: weights, mutable: true)
    let layer = try MixtureOfExperts(experts, norm: norm, epsilon: 1e-6, start: .standard, in: store.root)
    let context = ForwardContext(length: 5, configuration: rotary)
    try withTorch {
      store.tensors.values.forEach { $0.requiringGradient() }
      layer(x, in: context).power(2).sum().backward()
    }
    #expect(try context.expertLoads[0].elements(Int64.self) == [0, 0, 5, 0])
    let norms = try (0..<4).map { expert in
      try withTorch { try store.tensors["experts.\(expert).up_proj.weight"]?.gradient?.norm().item() ?? 0 }
    }
    #expect(norms[2] > 0)
    #expect([0, 1, 3].allSatisfy { norms[$0] == 0 })
    let output = try withTorch { withoutGradients { layer(x, in: context) } }
    #expect(try relativeError(of: output, to: dense(experts, weights, x)) < 2e-6)
  }

  @Test func balanceByHand() throws {
    let experts = ModelConfiguration.Experts(count: 4, perToken: 2, intermediateSize: 7)
    // No preference: probabilities of 1/4, and every token counts twice.
    #expect(
      try abs(withTorch { MixtureOfExperts.balanceLoss([.zeros([5, 4])], experts) }.item() - 2) < 1e-6)
    // All tokens are routed to the first two experts: 4 (1 · 1/2 + 1 · 1/2).
    let logits = Tensor((0..<5).flatMap { _ in [Float(50), 50, 0, 0] }, shape: [5, 4])
    #expect(try abs(withTorch { MixtureOfExperts.balanceLoss([logits], experts) }.item() - 4) < 1e-5)
    // The loss is over all layers together: a second layer with the other experts balances the first.
    let others = Tensor((0..<5).flatMap { _ in [Float(0), 0, 50, 50] }, shape: [5, 4])
    #expect(try abs(withTorch { MixtureOfExperts.balanceLoss([logits, others], experts) }.item() - 2) < 1e-5)
  }

  @Test("padding counts neither in the balance loss nor in the expert loads")
  func padding_isNotCounted() throws {
    let experts = ModelConfiguration.Experts(count: 4, perToken: 2, intermediateSize: 7)
    let logits = Tensor((0..<10).flatMap { $0 < 5 ? [Float(50), 50, 0, 0] : [0, 0, 50, 50] }, shape: [10, 4])
    let padding = Tensor((0..<10).map { $0 >= 5 }, shape: [1, 10])
    let balance = try withTorch { MixtureOfExperts.balanceLoss([logits], experts, without: padding) }
    #expect(try abs(balance.item() - 4) < 1e-5)
    // A padded row equals the row without its padding.
    let configuration = ModelConfiguration.small {
      $0.experts = .init(count: 6, perToken: 2, intermediateSize: 16, balanceLossWeight: 0.01)
    }
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 2))
    let tokens = try RandomTensors(seed: 3).tokens(1, 9, below: 61)
    let targets = Tensor((0..<9).map { $0 < 6 ? Int64($0) : -100 }, shape: [1, 9])
    func measure(_ length: Int, _ context: ForwardContext) throws -> (balance: Double, loads: [[Int64]]) {
      let losses = try withTorch {
        model.losses(tokens.slice(1, 0..<length), targets: targets.slice(1, 0..<length), in: context)
      }
      return try (#require(losses.balance).item(), context.expertLoads.map { try $0.elements(Int64.self) })
    }
    let padded = try measure(
      9,
      withTorch {
        ForwardContext(
          positions: Tensor([Int64(0), 1, 2, 3, 4, 5, 0, 0, 0], shape: [1, 9]),
          documents: Tensor([Int64](repeating: 0, count: 6) + [-1, -1, -1], shape: [1, 9]),
          configuration: configuration)
      })
    let short = try measure(6, ForwardContext(length: 6, configuration: configuration))
    #expect(abs(padded.balance - short.balance) < 1e-5)
    #expect(padded.loads == short.loads && short.loads.allSatisfy { $0.reduce(0, +) == 12 })
  }

  @Test func everyLayerReportsItsLoads() throws {
    let configuration = ModelConfiguration.everything
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 2))
    let tokens = try RandomTensors(seed: 3).tokens(3, 7, below: 61)
    let context = ForwardContext(length: 7, configuration: configuration)
    _ = try withTorch { model.losses(tokens, targets: tokens, in: context) }
    #expect(context.expertLoads.count == 4, "two layers and two depths")
    for loads in context.expertLoads { #expect(try loads.sum().item() == 3 * 7 * 2) }
  }
}
