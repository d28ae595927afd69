import Testing
import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding

/// A model whose thinking layers change little, so that drafts are often right.
private func easyModel(_ kind: DirectModel, contextLength: Int = 64, depth: Int = 0) throws -> LanguageModel {
  let model = try kind.model(contextLength: contextLength, depth: depth)
  let thinking = kind.encoding..<(5 - kind.decoding)
  try withTorch {
    for (name, weight) in model.weights.tensors {
      let isThinking = thinking.contains { name.hasPrefix("model.layers.\($0).") }
      if isThinking, name.hasSuffix("o_proj.weight") || name.hasSuffix("down_proj.weight") {
        weight.copy(from: weight * 0.1)
      }
    }
  }
  return model
}

private func greedy(
  _ model: LanguageModel, _ prompt: [TokenID], _ change: (inout GenerationOptions) -> Void = { _ in }
) throws -> GenerationResult {
  var options = GenerationOptions()
  options.sampling = .greedy
  options.maximumTokens = 24
  change(&options)
  return try TokenGeneration(model: model, options: options).run(prompt: prompt)
}

@Test(arguments: DirectModel.some)
func greedyTextIsTheSameWithDrafts(kind: DirectModel) throws {
  let model = try easyModel(kind, depth: 2)
  for prompt in [someTokens(1), someTokens(6)] {
    let ordinary = try greedy(model, prompt).tokens
    let predicted = try greedy(model, prompt) { $0.draftMethod = .prediction }
    #expect(predicted.tokens == ordinary)
    #expect(predicted.drafts?.proposed.count == 2)
    let open = try kind.gate == .select ? ordinary : greedy(model, prompt) { $0.cycle = 1 }.tokens
    for cycle in [2, 4] {
      let direct = try greedy(model, prompt) {
        $0.draftMethod = .direct
        $0.cycle = cycle
      }
      #expect(direct.tokens == open, "cycle \(cycle)")
      #expect(direct.drafts?.proposed.count == cycle - 1)
    }
  }
}

@Test(arguments: DraftMethod.allCases) func draftsCountAsRepeated(method: DraftMethod) throws {
  let model = try easyModel(DirectModel(kind: .plain, encoding: 0, decoding: 2, gate: .select), depth: 2)
  let ordinary = try greedy(model, someTokens(6)) { $0.sampling.repetitionPenalty = 1.3 }
  #expect(try ordinary.tokens != greedy(model, someTokens(6)).tokens)
  let drafted = try greedy(model, someTokens(6)) {
    $0.sampling.repetitionPenalty = 1.3
    $0.draftMethod = method
  }
  #expect(drafted.tokens == ordinary.tokens)
}

/// Tokens that are not allowed are neither drafted nor sampled.
@Test(arguments: DraftMethod.allCases) func draftsAreAllowedTokens(method: DraftMethod) throws {
  let model = try easyModel(DirectModel(kind: .plain, encoding: 0, decoding: 2, gate: .select), depth: 2)
  let prompt = someTokens(6).map { $0 % 20 }
  func tokens(_ method: DraftMethod?, allowedTokens: AllowedTokens?) throws -> [TokenID] {
    var options = GenerationOptions()
    options.sampling = .greedy
    options.maximumTokens = 24
    options.draftMethod = method
    return try TokenGeneration(model: model, options: options, allowedTokens: allowedTokens).run(prompt: prompt).tokens
  }
  #expect(try tokens(nil, allowedTokens: nil).contains { $0 >= 20 })
  for allowed: [TokenID] in [Array(0..<20), (0..<20).filter { $0 % 3 != 1 }] {
    let ordinary = try tokens(nil, allowedTokens: AllowedTokens(allowed))
    #expect(ordinary.allSatisfy(allowed.contains))
    #expect(try tokens(method, allowedTokens: AllowedTokens(allowed)) == ordinary)
  }
}

@Test func rightDraftsSavePasses() throws {
  let model = try easyModel(DirectModel(kind: .plain, encoding: 0, decoding: 2, gate: .select))
  let result = try greedy(model, someTokens(6)) {
    $0.draftMethod = .direct
    $0.cycle = 4
  }
  let drafts = try #require(result.drafts)
  #expect(drafts.accepted[0] > 0)
  #expect(drafts.accepted[0] < drafts.proposed[0])
  #expect(zip(drafts.accepted, drafts.accepted.dropFirst()).allSatisfy { $0 >= $1 })
  // The first token comes from the prompt, and what the last pass gave beyond the maximum is left out.
  let made = 1 + drafts.passes + drafts.accepted.reduce(0, +)
  #expect((24..<28).contains(made))
}

@Test(arguments: DirectModel.some, [1, 2, 3])
func proposalsAreThoseOfTheWholeText(kind: DirectModel, depth: Int) throws {
  let model = try kind.model(depth: depth)
  let drafter = try PredictionDrafter(model)
  _ = try drafter.session.prefill(someTokens(4))
  // Rounds in which some drafts, all or none are accepted.
  for (round, accepted) in [0, depth, 1, 0, 0, depth].enumerated() {
    let next = TokenID((round * 23 + 7) % 61)
    var found: [Tensor] = []
    let drafts = try drafter.propose(depth, after: next) { logits, earlier in
      found.append(logits)
      return TokenID((round * 5 + earlier.count * 31) % 61)
    }
    let tokens = drafter.session.tokens
    let known = tokens.dropFirst() + [next] + drafts
    for (k, logits) in found.enumerated() {
      let exact = try withTorch {
        withoutGradients {
          let pass = ForwardContext(length: tokens.count, configuration: model.configuration)
          var state = model.trunk(Tensor(tokens.map(Int64.init), shape: [1, tokens.count]), in: pass)
          for depth in 0...k {
            let row = known.dropFirst(depth).prefix(tokens.count).map(Int64.init)
            state = model.mtpState(
              depth, from: state, knowing: Tensor(row, shape: [1, tokens.count]), in: pass)
          }
          return model.mtpLogits(k, of: state).select(0, 0).select(0, tokens.count - 1)
        }
      }
      #expect(try relativeError(logits, exact) <= 2e-5, "round \(round), depth \(k)")
    }
    _ = try DecodingSession.verify([[next] + drafts], of: [drafter.session])
    drafter.truncate(to: tokens.count + 1 + min(accepted, depth))
  }
}

/// The index of three tokens below 4 among their 64 combinations.
private func outcome(_ first: TokenID, _ second: TokenID, _ third: TokenID) -> Int {
  Int(first * 16 + second * 4 + third)
}

/// Σ (found − expected)² / expected over outcomes, which for k of them is about k.
private func chiSquare(_ found: [Int], _ probabilities: [Double]) -> Double {
  let total = Double(found.reduce(0, +))
  return zip(found, probabilities).reduce(0) { sum, pair in
    let expected = total * pair.1
    return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
  }
}

@Test func acceptedAndReplacedDraftsFollowTheTarget() throws {
  let sampler = try Sampler(SamplingOptions(), seed: 4)
  let target = [[0.5, 0.2, 0.2, 0.1], [0.1, 0.3, 0.1, 0.5], [0.25, 0.25, 0.4, 0.1]]
  let drafted = [0.1, 0.4, 0.1, 0.4]
  var found = Array(repeating: 0, count: 64)
  var unverified = found
  for _ in 0..<6000 {
    let drafts = try (0..<2).map { _ in
      Draft(token: try sampler.sample(from: Tensor(drafted)), distribution: Tensor(drafted))
    }
    let (accepted, following) = try sampler.verify(drafts) { Tensor(target[$0]) }
    var tokens = drafts[..<accepted].map(\.token) + [following]
    while tokens.count < 3 { tokens.append(try sampler.sample(from: Tensor(target[tokens.count]))) }
    found[outcome(tokens[0], tokens[1], tokens[2])] += 1
    unverified[outcome(drafts[0].token, drafts[1].token, tokens[2])] += 1
  }
  let probabilities = (0..<64).map { (outcome: Int) -> Double in
    let (first, second, third) = (outcome / 16, outcome / 4 % 4, outcome % 4)
    return target[0][first] * target[1][second] * target[2][third]
  }
  // 64 outcomes: 63 on average, with a deviation of 11.
  #expect(chiSquare(found, probabilities) < 110)
  #expect(chiSquare(unverified, probabilities) > 1000, "the test would see a wrong distribution")
}

@Test(arguments: DraftMethod.allCases) func sampledTokensHaveTheModelsDistribution(method: DraftMethod) throws {
  var configuration = ModelConfiguration(
    vocabularySize: 4, hiddenSize: 16, layerCount: 3, headCount: 2, intermediateSize: 16)
  configuration.multiTokenPrediction = .init(depth: 2)
  configuration.directDecoding = .init(encodingLayers: 0, decodingLayers: 1, cycle: 3, gate: .select)
  let model = try LanguageModel(
    configuration, weights: WeightStore(seed: 3),
    start: .init(embedding: 1, linear: 1.5, reduce: .random, expand: .random))
  let head = try #require(model.weights.tensors["lm_head.weight"])
  let generator = try Generator(seed: 5)
  try withTorch { head.copy(from: .normal([4, 16], standardDeviation: 0.8, from: generator)) }

  let session = try DecodingSession(model)
  func distribution(_ tokens: [TokenID]) throws -> [Double] {
    session.truncate(to: 0)
    let logits = try session.prefill(tokens)
    return try withTorch { try logits.to(.float64).softmax(0).elements() }
  }
  var probabilities: [Double] = []
  for first: TokenID in 0..<4 {
    for second: TokenID in 0..<4 {
      let (one, two) = (try distribution([1, 2]), try distribution([1, 2, first]))
      let pair = one[Int(first)] * two[Int(second)]
      probabilities += try distribution([1, 2, first, second]).map { pair * $0 }
    }
  }
  #expect(abs(probabilities.reduce(0, +) - 1) < 1e-6)

  var found = Array(repeating: 0, count: 64)
  var drafts = DraftCounts()
  for seed in 0..<1200 {
    var options = GenerationOptions()
    options.draftMethod = method
    options.maximumTokens = 3
    options.seed = UInt64(seed)
    let result = try TokenGeneration(model: model, options: options).run(prompt: [1, 2])
    found[outcome(result.tokens[0], result.tokens[1], result.tokens[2])] += 1
    drafts.add(proposed: 1, accepted: result.drafts?.accepted.first ?? 0)
  }
  #expect(chiSquare(found, probabilities) < 110)
  #expect((60..<1140).contains(drafts.accepted[0]), "drafts are accepted and refused: \(drafts.accepted[0])")
}

@Test func textWithDraftsEndsWithTheContext() throws {
  let kind = DirectModel(kind: .plain, encoding: 0, decoding: 2, gate: .select)
  let model = try easyModel(kind, contextLength: 16, depth: 2)
  let ordinary = try greedy(model, someTokens(3))
  #expect(ordinary.finishReason == .contextLength)
  for method in DraftMethod.allCases {
    let result = try greedy(model, someTokens(3)) { $0.draftMethod = method }
    #expect(result.tokens == ordinary.tokens)
    #expect(result.finishReason == .contextLength)
  }
}

@Test func draftsThatCannotBeAreRefused() throws {
  let model = try DirectModel(kind: .plain, encoding: 0, decoding: 2, gate: .select).model()
  func error(_ change: @escaping (inout GenerationOptions) -> Void) -> String? {
    message { _ = try greedy(model, [1], change) }
  }
  #expect(
    error { $0.draftMethod = .prediction }
      == "multi_token_prediction is missing: expected a model with prediction depths to draft with")
  #expect(
    error { ($0.draftMethod, $0.cycle) = (.prediction, 3) }
      == "cycle is 3: expected none where multi-token prediction drafts")
  #expect(
    error { ($0.draftMethod, $0.cycle) = (.direct, 1) }
      == "cycle is 1: expected at least 2 to draft by direct decoding")
  #expect(
    error { ($0.draftMethod, $0.usesCache) = (.direct, false) } == "drafts need the cache: expected both, or neither")
}
