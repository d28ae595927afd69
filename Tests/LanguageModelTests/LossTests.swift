import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

@Suite struct LossTests {
  private let depths = ModelConfiguration.small { $0.multiTokenPrediction = .init(depth: 3, lossWeight: 0.6) }

  private func losses(_ model: LanguageModel, _ tokens: Tensor, _ targets: Tensor) throws -> [String: Double] {
    let context = ForwardContext(length: tokens.size(1), configuration: model.configuration)
    let named = try withTorch { model.losses(tokens, targets: targets, in: context).named }
    return try Dictionary(uniqueKeysWithValues: named.map { try ($0.name, $0.value.item()) })
  }

  private func random(_ rows: Int, _ length: Int) throws -> (tokens: Tensor, targets: Tensor) {
    let random = try RandomTensors(seed: 9)
    return (random.tokens(rows, length, below: 61), random.tokens(rows, length, below: 61))
  }

  /// The mean of -log p[target] over the targets that are not ignored, computed in float64.
  private func mean(_ logits: Tensor, _ targets: Tensor) throws -> Double {
    let logs = try withTorch { logits.to(.float64).logSoftmax(-1).flattened(0, -2) }
    let ids = try targets.elements(Int64.self)
    let terms = try ids.enumerated().filter { $0.element >= 0 }.map { row, id in
      try -logs.select(0, row).select(0, Int(id)).item()
    }
    return terms.reduce(0, +) / Double(terms.count)
  }

  @Test func totalIsTheWeightedSum() throws {
    let model = try LanguageModel(.everything, weights: WeightStore(seed: 1))
    let (tokens, targets) = try random(2, 9)
    let found = try losses(model, tokens, targets)
    #expect(Set(found.keys) == ["total", "next_token", "next_2_token", "next_3_token", "load_balancing"])
    func loss(_ name: String) throws -> Double { try #require(found[name]) }
    let total =
      try loss("next_token") + 0.4 / 2 * (loss("next_2_token") + loss("next_3_token")) + 0.01 * loss("load_balancing")
    #expect(try abs(loss("total") - total) < 1e-5)
    let logits = try withTorch { model.logits(tokens) }
    #expect(try abs(loss("next_token") - mean(logits, targets)) < 1e-5)
  }

  @Test func ignoredTargetsAreLeftOut() throws {
    let model = try LanguageModel(depths, weights: WeightStore(seed: 1))
    let (tokens, all) = try random(2, 9)
    let ignored = Tensor((0..<18).map { [2, 8, 9, 14].contains($0) }, shape: [2, 9])
    let targets = try withTorch { all.maskedFill(ignored, -100) }
    let found = try losses(model, tokens, targets)
    let logits = try withTorch { model.logits(tokens) }
    #expect(try abs(#require(found["next_token"]) - mean(logits, targets)) < 1e-5)
    // The targets of depth k are k + 1 positions later. Where a target is ignored, depths are given the row's next
    // token.
    let depthLogits = try withTorch {
      let context = ForwardContext(length: 9, configuration: depths)
      let known = Tensor.where(ignored, tokens.rolled(-1, axis: 1), all)
      return model.mtpOutputs(from: model.trunk(tokens, in: context), tokens: tokens, targets: known, in: context)
        .map(model.headLogits)
    }
    for (k, logits) in depthLogits.enumerated() {
      let expected = try mean(
        withTorch { logits.slice(1, 0..<(8 - k)) }, withTorch { targets.slice(1, (k + 1)...).contiguous() })
      #expect(try abs(#require(found["next_\(k + 2)_token"]) - expected) < 1e-5)
    }
  }

  @Test(arguments: Kernels.allCases) func losses_withoutTargets_areZero(kernels: Kernels) throws {
    let model = try LanguageModel(depths, weights: WeightStore(seed: 1))
    for weight in model.weights.tensors.values { weight.requiringGradient() }
    let (tokens, all) = try random(2, 5)
    // The only target is the first one of a row, which no depth predicts.
    let counted = Tensor((0..<10).map { $0 == 0 }, shape: [2, 5])
    try Kernels.$selected.withValue(kernels) {
      let targets = try withTorch { Tensor.where(counted, all, .full([2, 5], -100, .int64)) }
      let found = try losses(model, tokens, targets)
      #expect(try #require(found["total"]) > 1)
      #expect(found["total"] == found["next_token"])
      for k in 2...4 { #expect(found["next_\(k)_token"] == 0) }
      try withTorch {
        model.losses(tokens, targets: targets, in: ForwardContext(length: 5, configuration: depths)).total.backward()
        for (name, weight) in model.weights.tensors {
          let sum = try weight.gradient?.abs().sum().item() ?? 0
          #expect(sum.isFinite, "\(name)")
        }
      }
    }
  }

  @Test("scaled losses of a step's parts add up to the losses of the step") func scaledLosses_sum() throws {
    let model = try LanguageModel(depths, weights: WeightStore(seed: 1))
    let (tokens, all) = try random(4, 9)
    let ignored = Tensor((0..<36).map { $0 % 9 < 2 * ($0 / 9) + 1 }, shape: [4, 9])
    let targets = try withTorch { all.maskedFill(ignored, -100) }
    let expected = try losses(model, tokens, targets)
    var sums: [String: Double] = [:]
    for range in [0..<1, 1..<4] {
      let part = try withTorch { targets.slice(0, range) }
      let fractions = try LossFractions(of: .init(part, depths), in: .init(targets, depths))
      try withTorch {
        let context = ForwardContext(length: 9, configuration: depths)
        let losses = model.losses(tokens.slice(0, range), targets: part, in: context).scaled(by: fractions, depths)
        for (name, value) in losses.named { sums[name, default: 0] += try value.item() }
      }
    }
    #expect(sums.keys == expected.keys)
    for (name, value) in expected { #expect(try abs(#require(sums[name]) - value) < 1e-5, "\(name)") }
  }

  @Test(arguments: [(1, 0), (2, 1), (3, 2), (4, 3), (9, 3)])
  func shortRowsHaveFewerDepths(length: Int, count: Int) throws {
    let model = try LanguageModel(depths, weights: WeightStore(seed: 1))
    let (tokens, targets) = try random(2, length)
    let found = try losses(model, tokens, targets)
    #expect(found.count == 2 + count)
    #expect(found.values.allSatisfy { $0.isFinite })
  }

  @Test(arguments: ModelConfiguration.variety.map(\.name), Kernels.allCases)
  func tokens_outOfRange_areReported(name: String, kernels: Kernels) throws {
    let configuration = try #require(ModelConfiguration.variety.first { $0.name == name }).configuration
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
    let table = try #require(model.weights.tensors["model.embed_tokens.weight"])
    let good = Tensor([Int64(1), 2, 3], shape: [1, 3])
    let bad = Tensor([Int64(1), 61, 3], shape: [1, 3])
    func text(_ tokens: Tensor, _ targets: Tensor) -> String {
      Kernels.$selected.withValue(kernels) {
        message {
          _ = model.losses(tokens, targets: targets, in: ForwardContext(length: 3, configuration: configuration))
        }
      }
    }
    #expect(text(bad, good) == "embedding(float32\(table.shape), int64[1, 3]): index out of range in self")
    let target = text(good, bad)
    let operation =
      kernels == .fused
      ? "cross_entropy(float32[1, 3, \(configuration.hiddenSize)], [61, \(configuration.hiddenSize)], int64[1, 3])"
      : "cross_entropy_loss(float32[3, 61], int64[3], none, 2, -100)"
    #expect(target.hasPrefix("\(operation): Target 61 is out of bounds"), "\(target)")
  }

  @Test func aFailureThatCameBeforeIsReported() throws {
    let first = "reshape(float32[6], [7]): shape '[7]' is invalid for input of size 6"
    for (name, configuration) in ModelConfiguration.variety {
      let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
      let text = message {
        let broken = Tensor.ones([6]).reshaped(7)
        _ = model.losses(broken, targets: broken, in: ForwardContext(length: 3, configuration: configuration))
      }
      #expect(text == first, "\(name)")
    }
  }
}
