import WidebandTorch
import WidebandVirtualWidth

/// The tables of n-gram memory, see `ModelConfiguration.NGramMemory`, and where their rows are added to the state.
struct NGramTables {
  private let memory: ModelConfiguration.NGramMemory
  private let tables: [(order: Int, rows: WeightMatrix, norm: Tensor?)]
  /// The factors of the orders at each layer, `[K]`, of a plain model; nil with virtual width.
  private let factors: [Tensor]?
  private let vocabularySize: Int
  private let endOfText: [Int]
  private let epsilon: Double
  private let dtype: DType

  /// The factor at the start: with tables of zeros any factor but 0 starts at the model without memory.
  private static let firstFactor = 0.1

  /// The tables with their weights in `scope` ("model").
  init(
    _ memory: ModelConfiguration.NGramMemory, _ configuration: ModelConfiguration, start: InitialValues,
    computingIn dtype: DType, in scope: Scope
  ) throws {
    let D = configuration.hiddenSize
    self.memory = memory
    self.dtype = dtype
    vocabularySize = configuration.vocabularySize
    endOfText = configuration.endOfTextTokens.map(Int.init)
    epsilon = configuration.normEpsilon
    tables = try memory.orders.map { order in
      let table = scope["ngram_memory"][order]
      return (
        order, try table.matrix("weight", memory.rows, D, start.memory == 0 ? .zeros : .normal(start.memory)),
        memory.isNormalized ? try table["norm"].float32Tensor("weight", [D], .ones) : nil
      )
    }
    factors =
      configuration.virtualWidth == nil
      ? try (0..<configuration.layerCount).map {
        try scope["layers"][$0].float32Tensor(
          "ngram_factors", [memory.orders.count],
          .computed { _ in .full([memory.orders.count], Self.firstFactor) })
      } : nil
  }

  /// Whether the rows are added before every layer, and not to the first state alone.
  var entersEveryLayer: Bool { factors != nil }

  /// The rows `[B, T, K, D]` of the n-grams that end with each token, one of each of the K orders.
  ///
  /// - Parameters:
  ///   - tokens: integer tokens `[B, T]`.
  ///   - previous: the tokens before each of them, `[B, T, reach]`, the last one first; -1 where there is none.
  func callAsFunction(_ tokens: Tensor, previous: Tensor) -> Tensor {
    let digits = [tokens] + known(previous)
    let base = Tensor([Int64(vocabularySize)], on: tokens.device)
    let rows = tables.map { order, table, norm in
      var hash = digits[order - 1].remainder(by: memory.rows)
      for digit in digits[..<(order - 1)].reversed() { hash = (hash * base + digit).remainder(by: memory.rows) }
      let row = table.indexSelect(hash).to(dtype)
      return norm.map { row.rmsNorm($0, epsilon: epsilon) } ?? row
    }
    return .stack(rows, axis: -2)
  }

  /// The tokens before each token `[B, T]`, the last one first. From the end of a document on they are 0: what an n-gram
  /// is does not depend on the document before.
  private func known(_ previous: Tensor) -> [Tensor] {
    var last: Tensor?
    let found = (0..<memory.reach).map { step in
      var token = previous.select(-1, step)
      for end in endOfText { token = token.maskedFill(token .== end, -1) }
      if let last { token = token.maskedFill(last .< 0, -1) }
      last = token
      return token
    }
    return found.map { $0.maskedFill($0 .< 0, 0) }
  }

  /// The tokens before each token of complete rows `[B, T]`, as the tables take them.
  ///
  /// - Parameter positions: integer positions `[T]` or `[B, T]`, from 0 in every document.
  func previous(of tokens: Tensor, positions: Tensor) -> Tensor {
    .stack(
      (1...memory.reach).map { tokens.rolled($0, axis: 1).maskedFill(positions .< Double($0), -1) }, axis: -1)
  }

  /// The first state `[B, T, n, C]` with the rows `[B, T, K, D]` in its groups of m slots after the first; unchanged in a
  /// plain model.
  func added(_ rows: Tensor, to state: Tensor) -> Tensor {
    guard factors == nil else { return state }
    let flat = state.flattened(-2)
    let (D, K) = (rows.size(-1), rows.size(-2))
    var parts = [Tensor.zeros(Array(rows.shape.dropLast(2)) + [D], dtype, on: rows.device), rows.flattened(-2)]
    let rest = flat.size(-1) - D * (1 + K)
    if rest > 0 { parts.append(.zeros(Array(rows.shape.dropLast(2)) + [rest], dtype, on: rows.device)) }
    return (flat + .concatenate(parts, axis: -1)).reshaped(state.shape)
  }

  /// The state `[B, T, 1, D]` that enters a layer of a plain model, with the sum of the rows times the layer's factors;
  /// unchanged with virtual width.
  func added(_ rows: Tensor, to state: Tensor, layer: Int) -> Tensor {
    guard let factors else { return state }
    return state + (rows * factors[layer].to(dtype).unsqueezed(-1)).sum(-2).unsqueezed(-2)
  }
}
