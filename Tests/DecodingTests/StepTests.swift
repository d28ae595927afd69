import TestSupport
import Testing
import WidebandCheckedInput
import WidebandTorch

@testable import WidebandDecoding
@testable import WidebandLanguageModel

/// Sublayer kernels against composed operators, for every format of weights and of the cache.
@Suite struct StepTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    var hidden = 24
    var heads = 4
    var keyValueHeads = 2
    var headSize = 6
    var inner = 20
    var experts: ModelConfiguration.Experts?
    var testDescription: String { "\(hidden) \(heads) \(keyValueHeads) \(headSize) \(inner) \(experts?.count ?? 0)" }
  }

  static let shapes = [
    Shape(), Shape(hidden: 33, heads: 3, keyValueHeads: 1, headSize: 10, inner: 37),
    Shape(hidden: 128, heads: 8, keyValueHeads: 8, headSize: 16, inner: 96),
    Shape(hidden: 20, heads: 6, keyValueHeads: 2, headSize: 34, inner: 130),
    Shape(experts: .init(count: 5, perToken: 2, intermediateSize: 12)),
    Shape(hidden: 40, experts: .init(count: 4, perToken: 4, intermediateSize: 33, isRenormalized: false)),
  ]

  @Test(arguments: shapes, [QuantizationScheme?.none, .int8, .int4]) func stepsEqualTheOperators(
    shape: Shape, scheme: QuantizationScheme?
  ) throws {
    let model = try model(shape, quantizing: scheme)
    // Quantized weights are multiplied with activations of 16 bits, on some processors of 8.
    let bound = scheme == nil ? 5e-6 : 1e-4
    for cut in [1, 2, 5, 16] {
      let tokens = (0..<40).map { TokenID($0 * 7 % 19) }
      let fused = try logits(model, tokens, cut: cut, .fused, .float32)
      let composed = try logits(model, tokens, cut: cut, .composed, .float32)
      let error = try relativeError(of: fused, to: composed)
      #expect(error < bound, "\(cut) at a time: \(error)")
    }
  }

  /// Drafts are verified several at a time, and sequences decoded together: a position's results are those that it has
  /// alone. 600 positions of one key head are attended to in parts.
  @Test(arguments: shapes, [QuantizationScheme?.none, .int8, .int4]) func severalPositionsHaveTheBitsOfOne(
    shape: Shape, scheme: QuantizationScheme?
  ) throws {
    let model = try model(shape, quantizing: scheme)
    let prompt = (0..<600).map { TokenID($0 * 7 % 19) }
    let tokens = (0..<16).map { TokenID($0 * 5 % 19) }
    for format in [KVCacheFormat.float32, .bfloat16, .int8] {
      func session() throws -> DecodingSession {
        let session = try DecodingSession(model, cacheFormat: format)
        _ = try session.prefill(prompt)
        return session
      }
      let (alone, together) = (try session(), try session())
      let single = try tokens.map { try alone.append($0).elements(Float.self) }
      let size = single[0].count
      let (short, row) = (try DecodingSession(model, cacheFormat: format), [TokenID](repeating: 3, count: 5))
      _ = try short.prefill(row)
      for count in [2, 3, 11] {
        let first = together.tokens.count - prompt.count
        let new = Array(tokens[first..<(first + count)])
        let logits = try DecodingSession.verify([row, new], of: [short, together]).elements(Float.self)
        for index in 0..<count {
          let start = (row.count + index) * size
          #expect(Array(logits[start..<(start + size)]) == single[first + index], "\(format): \(index) of \(count)")
        }
      }
    }
  }

  @Test(arguments: [(KVCacheFormat.bfloat16, 6e-3), (.int8, 2e-2)]) func cacheFormatsStayClose(
    format: KVCacheFormat, bound: Double
  ) throws {
    let model = try model(Shape(), quantizing: nil)
    let tokens = (0..<40).map { TokenID($0 * 5 % 19) }
    let exact = try logits(model, tokens, cut: 1, .fused, .float32)
    let fused = try logits(model, tokens, cut: 1, .fused, format)
    let composed = try logits(model, tokens, cut: 1, .composed, format)
    let error = try relativeError(of: fused, to: exact)
    #expect(error > 1e-6 && error < bound)
    #expect(try relativeError(of: composed, to: exact) < bound)
    // Single tokens continue with the cache of a prompt's pass.
    let session = try DecodingSession(model, cacheFormat: format)
    _ = try session.prefill(Array(tokens.dropLast()))
    let mixed = try session.append(tokens[39])
    #expect(try relativeError(of: mixed, to: withTorch { exact.select(0, 39) }) < bound)
  }

  @Test func aLongSequenceIsSplitAmongThreads() throws {
    // One head over more positions than a part has at least: with four threads in several parts.
    let model = try model(Shape(hidden: 8, heads: 1, keyValueHeads: 1, headSize: 8, inner: 8), quantizing: nil)
    let tokens = (0..<1100).map { TokenID($0 * 11 % 19) }
    let whole = try last(model, tokens)
    Machine.threadCount = 4
    defer { Machine.threadCount = 2 }
    #expect(try relativeError(of: last(model, tokens), to: whole) < 2e-6)
  }

  private func model(_ shape: Shape, quantizing scheme: QuantizationScheme?) throws -> LanguageModel {
    var configuration = ModelConfiguration(
      vocabularySize: 19, hiddenSize: shape.hidden, layerCount: 2, headCount: shape.heads, headSize: shape.headSize,
      intermediateSize: shape.inner)
    configuration.keyValueHeadCount = shape.keyValueHeads
    configuration.contextLength = 2048
    configuration.experts = shape.experts
    configuration.quantization = scheme
    var dense = configuration
    dense.quantization = nil
    let start = try LanguageModel(
      dense, weights: WeightStore(seed: 4),
      start: .init(embedding: 1, linear: 1, reduce: .random, expand: .identityAndRandom))
    // All norms differ from their initial values.
    let generator = try Generator(seed: 5)
    try withTorch {
      for weight in start.weights.tensors.values {
        weight.copy(from: weight + Tensor.normal(weight.shape, standardDeviation: 0.1, from: generator))
      }
    }
    let weights = start.weights.tensors.reduce(into: [String: Tensor]()) { $0[$1.key] = $1.value }
    return try LanguageModel(
      configuration, weights: WeightStore(stored: weights, mutable: false, quantizing: scheme))
  }

  /// The logits `[T, V]` of a sequence that is processed `cut` tokens at a time.
  private func logits(
    _ model: LanguageModel, _ tokens: [TokenID], cut: Int, _ kernels: Kernels, _ format: KVCacheFormat
  ) throws -> Tensor {
    try Kernels.$selected.withValue(kernels) {
      let session = try DecodingSession(model, cacheFormat: format)
      let rows = try stride(from: 0, to: tokens.count, by: cut).map {
        try session.prefill(Array(tokens[$0..<min($0 + cut, tokens.count)]))
      }
      return try withTorch { .concatenate(rows.map { $0.unsqueezed(0) }) }
    }
  }

  /// The logits after the last token, which has a pass of its own.
  private func last(_ model: LanguageModel, _ tokens: [TokenID]) throws -> Tensor {
    let session = try DecodingSession(model, cacheFormat: .float32)
    _ = try session.prefill(tokens.dropLast())
    return try session.append(tokens[tokens.count - 1])
  }
}
