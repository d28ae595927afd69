import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandDecoding

/// Small random models for direct decoding.
struct DirectModel: CustomStringConvertible, Sendable {
  enum Kind: String, CaseIterable { case plain, wide, experts }

  let kind: Kind
  let encoding: Int
  let decoding: Int
  let gate: ModelConfiguration.DirectDecoding.Gate

  var description: String { "\(kind) E\(encoding) D\(decoding) \(gate)" }

  /// A model of five layers, all of whose weights differ from their initial values.
  func model(contextLength: Int = 64, depth: Int = 0) throws -> LanguageModel {
    var configuration = ModelConfiguration(
      vocabularySize: 61, hiddenSize: 24, layerCount: 5, headCount: 4, headSize: 8, intermediateSize: 40)
    configuration.keyValueHeadCount = 2
    configuration.contextLength = contextLength
    if kind == .wide { configuration.virtualWidth = VirtualWidth(fractionRate: 2, slots: 3, embedding: .wide) }
    if kind == .experts { configuration.experts = .init(count: 4, perToken: 2, intermediateSize: 16) }
    if depth > 0 { configuration.multiTokenPrediction = .init(depth: depth) }
    configuration.directDecoding = .init(encodingLayers: encoding, decodingLayers: decoding, cycle: 6, gate: gate)
    let model = try LanguageModel(
      configuration, weights: WeightStore(seed: 7),
      start: .init(embedding: 1, linear: 1, reduce: .random, expand: .identityAndRandom))
    let generator = try Generator(seed: 8)
    try withTorch {
      for weight in model.weights.tensors.values {
        weight.copy(from: weight + Tensor.normal(weight.shape, standardDeviation: 0.1, from: generator))
      }
    }
    return model
  }

  static let all = Kind.allCases.flatMap { kind in
    (0...2).flatMap { encoding in
      (1...3).flatMap { decoding in
        ModelConfiguration.DirectDecoding.Gate.allCases.map { gate in
          DirectModel(kind: kind, encoding: encoding, decoding: decoding, gate: gate)
        }
      }
    }
  }
  /// One of each kind and gate.
  static let some = all.filter { ($0.encoding, $0.decoding) == ($0.kind == .wide ? (1, 2) : (0, 2)) }
}

/// Tokens below 61 without a pattern.
func someTokens(_ count: Int, from start: Int = 0) -> [TokenID] {
  (start..<(start + count)).map { (index: Int) in TokenID((index * 37 + index * index * 11 + 5) % 61) }
}

/// The logits `[T, V]` of a whole sequence with the given phases, in one pass without a cache.
func teacherForced(_ model: LanguageModel, _ tokens: [TokenID], _ phases: [Int]) throws -> Tensor {
  let gate = try CycleGate(phases: Tensor(phases.map(Int64.init)).unsqueezed(0), model.configuration)
  return try withTorch {
    withoutGradients {
      let pass = ForwardContext(length: tokens.count, configuration: model.configuration, gate: gate)
      let row = Tensor(tokens.map(Int64.init), shape: [1, tokens.count])
      return model.logits(of: model.trunk(row, in: pass)).select(0, 0)
    }
  }
}
