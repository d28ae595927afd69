import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

/// At the initial values the first slots of a wide model are the state of the plain model.
@Suite struct WidthTests {
  struct Pair {
    let plain: LanguageModel
    let wide: LanguageModel

    /// A plain and a wide model of one backbone; the first D columns of a wide table are the plain one's.
    init(
      _ width: VirtualWidth, hiddenSize: Int, start: InitialValues = .standard,
      _ change: (inout ModelConfiguration) -> Void = { _ in }
    ) throws {
      var configuration = ModelConfiguration.small(hiddenSize: hiddenSize, change)
      plain = try LanguageModel(configuration, weights: WeightStore(seed: 5), start: start)
      configuration.virtualWidth = width
      wide = try LanguageModel(configuration, weights: WeightStore(seed: 5), start: start)
      let name = "model.embed_tokens.weight"
      let tables = try (#require(plain.weights.tensors[name]), #require(wide.weights.tensors[name]))
      try withTorch { tables.1.slice(1, 0..<hiddenSize).copy(from: tables.0) }
    }

    func states(_ tokens: Tensor) throws -> (plain: Tensor, wide: Tensor) {
      func state(_ model: LanguageModel) throws -> Tensor {
        try withTorch {
          withoutGradients {
            model.trunk(tokens, in: ForwardContext(length: tokens.size(1), configuration: model.configuration))
          }
        }
      }
      return try (state(plain), state(wide))
    }
  }

  static let shapes = [(1, 1), (1, 4), (2, 3), (4, 4), (4, 16), (8, 64), (3, 8), (5, 7)]

  private let tokens = Tensor((0..<22).map { Int64($0 * $0 % 61) }, shape: [2, 11])

  private func check(_ pair: Pair, _ width: VirtualWidth, comment: Comment) throws {
    let (m, n) = (width.fractionRate, width.slots)
    let (plain, wide) = try pair.states(tokens)
    let stream = try withTorch { wide.slice(-2, 0..<m).flattened(-2).unsqueezed(-2) }
    #expect(try stream.elements(Float.self) == plain.elements(Float.self), comment)
    // Slot j has received the same sublayer outputs as block j mod m of the stream.
    let table = try #require(pair.wide.weights.tensors["model.embed_tokens.weight"])
    let embedded = try withTorch {
      let rows = table.embedding(tokens)
      let expand = pair.wide.weights.tensors["model.embed_expand.weight"]
      return (expand.map { rows.linear($0) } ?? rows).reshaped(wide.shape)
    }
    for slot in m..<n {
      let (found, expected) = try withTorch {
        (
          wide.select(-2, slot) - embedded.select(-2, slot),
          stream.reshaped([2, 11, m, -1]).select(-2, slot % m) - embedded.select(-2, slot % m)
        )
      }
      #expect(try relativeError(of: found, to: expected) < 3e-6, "slot \(slot), \(comment)")
    }
  }

  @Test(arguments: shapes, VirtualWidth.Embedding.allCases)
  func theFirstSlotsArePlain(shape: (Int, Int), embedding: VirtualWidth.Embedding) throws {
    for connections in VirtualWidth.Connections.allCases {
      let width = VirtualWidth(
        fractionRate: shape.0, slots: shape.1, embedding: embedding, connections: connections)
      let pair = try Pair(width, hiddenSize: shape.0 == 5 ? 40 : 48)
      for kernels in Kernels.allCases {
        try Kernels.$selected.withValue(kernels) {
          try check(pair, width, comment: "\(connections), \(kernels)")
        }
      }
    }
  }

  @Test func theFirstSlotsArePlainWithExpertsToo() throws {
    let width = VirtualWidth(fractionRate: 4, slots: 8, embedding: .wide)
    let pair = try Pair(width, hiddenSize: 48) {
      $0.experts = .init(count: 5, perToken: 2, intermediateSize: 16)
    }
    try check(pair, width, comment: "experts")
  }

  /// Without a group norm, and with a reduce that reads the first slots alone, the logits are those of the plain model.
  @Test(arguments: [(2, 3), (3, 8)]) func anIdentityReduceGivesThePlainLogits(m: Int, n: Int) throws {
    var start = InitialValues.standard
    start.reduce = .identity
    let pair = try Pair(VirtualWidth(fractionRate: m, slots: n, embedding: .wide), hiddenSize: 48, start: start)
    let plain = try withTorch { pair.plain.logits(tokens) }
    let wide = try withTorch { pair.wide.logits(tokens) }
    #expect(try relativeError(of: wide, to: plain) < 1e-6)
  }

  @Test func aTrainedWidthIsNoLongerPlain() throws {
    let width = VirtualWidth(fractionRate: 2, slots: 4, embedding: .wide)
    let pair = try Pair(width, hiddenSize: 48)
    try #require(pair.wide.weights.tensors["model.layers.0.mlp_connection.dynamic_alpha"]).fill(0.1)
    let (plain, wide) = try pair.states(tokens)
    #expect(try relativeError(of: wide.slice(-2, 0..<2).flattened(-2).unsqueezed(-2), to: plain) > 1e-3)
  }
}
