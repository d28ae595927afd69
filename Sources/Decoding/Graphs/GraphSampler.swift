import WidebandCheckedInput
import WidebandTorch

/// Samples tokens as part of a CUDA graph: random numbers are copied to the device ahead of the steps that use them, and
/// the device keeps a mask of each sequence's tokens.
final class GraphSampler {
  /// How tokens are sampled.
  let options: SamplingOptions

  /// Steps for which random numbers are on the device.
  private static let stepsAhead = 256

  /// The allowed tokens, on the device.
  private let allowedTokens: AllowedTokens
  private let rowCount: Int
  private let vocabularySize: Int
  /// `[stepsAhead, R]` in float64, and the index of the next step's row, `[1]`; nil for greedy sampling.
  private let numbers: (table: Tensor, index: Tensor)?
  /// `[R, V]`; nil without a repetition penalty.
  private let seen: Tensor?
  /// Each row's random numbers, and how many were taken before the first step; nil for an idle row.
  private var sources: [(numbers: RandomNumbers, first: Int)?]
  private var stepCount = 0

  /// - Parameter allowedTokens: the tokens that may be sampled; nil for all.
  init(
    _ options: SamplingOptions, among allowedTokens: AllowedTokens?, rows: Int, of vocabularySize: Int,
    on device: Device
  ) {
    self.allowedTokens = (allowedTokens ?? AllowedTokens(below: vocabularySize)).moved(to: device)
    (self.options, rowCount, self.vocabularySize) = (options, rows, vocabularySize)
    sources = .init(repeating: nil, count: rows)
    numbers =
      options.isGreedy
      ? nil : (.zeros([Self.stepsAhead, rows], .float64, on: device), .zeros([1], .int64, on: device))
    seen = options.repetitionPenalty == 1 ? nil : .zeros([rows, vocabularySize], .bool, on: device)
  }

  /// Prepares for sequences with some tokens, each with a sampler of these options; nil for an idle row.
  func begin(_ sequences: [(sampler: Sampler, tokens: [TokenID])?]) throws {
    sources = sequences.map { $0.map { ($0.sampler.numbers, $0.sampler.numbers.taken) } }
    stepCount = 0
    guard let seen else { return }
    try withTorch {
      seen.copy(
        from: .concatenate(
          sequences.map { sequence in
            sequence.flatMap { $0.sampler.seen($0.tokens, of: vocabularySize) } ?? .zeros([1, vocabularySize], .bool)
          }))
    }
  }

  /// Copies random numbers to the device if the next step needs them.
  func prepareStep() throws {
    defer { stepCount += 1 }
    guard let numbers, stepCount % Self.stepsAhead == 0 else { return }
    let columns = try sources.map { source in
      try source.map { try $0.numbers.upcoming(Self.stepsAhead, from: $0.first + stepCount) }
        ?? .init(repeating: 0, count: Self.stepsAhead)
    }
    try withTorch {
      numbers.table.copy(from: Tensor(columns.flatMap(\.self), shape: [rowCount, Self.stepsAhead]).transposed())
      numbers.index.fill(0)
    }
  }

  /// The tokens `[R]` sampled from logits `[R, V]` after tokens `[R]`, which count as seen; -1 for a row that is not
  /// finite. This is part of the graph.
  func callAsFunction(_ logits: Tensor, after tokens: Tensor) -> Tensor {
    seen?.fill(1, at: tokens.unsqueezed(1), axis: 1)
    let row = numbers.map { numbers in
      let row = numbers.table.indexSelect(numbers.index).transposed()
      numbers.index.copy(from: numbers.index + 1)
      return row
    }
    let indices = options.sample(
      from: allowedTokens.slice(logits), numbers: row, seen: seen.map(allowedTokens.slice))
    return allowedTokens.tokens(at: indices)
  }
}
