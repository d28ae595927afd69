import Torch

/// What recorded steps choose tokens with: random numbers that lie on the device ahead of the tokens that they decide, and
/// a note of the tokens that the texts have.
final class RecordedChoice {
  /// How tokens are chosen, and which may be; nil for all.
  let options: SamplingOptions
  let choices: AllowedTokens?

  /// Steps for which numbers lie on the device.
  private static let reach = 256

  /// The same on the device.
  private let allowed: AllowedTokens
  private let rowCount: Int
  private let vocabularySize: Int
  /// `[reach, R]` in float64, and which of its rows the next step takes, `[1]`; nil where the choice is greedy.
  private let numbers: (table: Tensor, place: Tensor)?
  /// `[R, V]`; nil where repetition costs nothing.
  private let seen: Tensor?
  /// Each row's numbers, and how many had been taken when the first step took one; nil for a row without a text.
  private var sources: [(numbers: RandomNumbers, first: Int)?]
  private var stepCount = 0

  init(_ options: SamplingOptions, among choices: AllowedTokens?, rows: Int, of vocabularySize: Int, on device: Device)
  {
    allowed = (choices ?? AllowedTokens(below: vocabularySize)).moved(to: device)
    (self.options, self.choices, rowCount, self.vocabularySize) = (options, choices, rows, vocabularySize)
    sources = .init(repeating: nil, count: rows)
    numbers =
      options.isGreedy
      ? nil : (.zeros([Self.reach, rows], .float64, on: device), .zeros([1], .int64, on: device))
    seen = options.repetitionPenalty == 1 ? nil : .zeros([rows, vocabularySize], .bool, on: device)
  }

  /// Prepares for texts with some tokens, each with a sampler of these options; nil for a row without a text.
  func begin(_ texts: [(sampler: Sampler, tokens: [Int])?]) throws {
    sources = texts.map { $0.map { ($0.sampler.numbers, $0.sampler.numbers.taken) } }
    stepCount = 0
    guard let seen else { return }
    try withTorch {
      seen.copy(
        from: .concatenate(
          texts.map { text in
            text.flatMap { $0.sampler.seen($0.tokens, of: vocabularySize) } ?? .zeros([1, vocabularySize], .bool)
          }))
    }
  }

  /// Prepares for steps whose choices nobody asks for.
  func rest() {
    guard sources.contains(where: { $0 != nil }) else { return }
    sources = .init(repeating: nil, count: rowCount)
    stepCount = 0
  }

  /// Sees to it that there are numbers for a further step.
  func prepareStep() throws {
    defer { stepCount += 1 }
    guard let numbers, stepCount % Self.reach == 0 else { return }
    let columns = try sources.map { source in
      try source.map { try $0.numbers.upcoming(Self.reach, from: $0.first + stepCount) }
        ?? .init(repeating: 0, count: Self.reach)
    }
    try withTorch {
      numbers.table.copy(from: Tensor(columns.flatMap(\.self), shape: [rowCount, Self.reach]).transposed())
      numbers.place.fill(0)
    }
  }

  /// The tokens `[R]` chosen from logits `[R, V]` behind tokens `[R]`, which count as seen; -1 for a row that is not
  /// finite. This is part of what is recorded.
  func callAsFunction(_ logits: Tensor, behind tokens: Tensor) -> Tensor {
    seen?.fill(1, at: tokens.unsqueezed(1), axis: 1)
    let drawn = numbers.map { numbers in
      let row = numbers.table.rows(numbers.place).transposed()
      numbers.place.copy(from: numbers.place + 1)
      return row
    }
    let places = options.choices(from: allowed.part(of: logits), numbers: drawn, seen: seen.map(allowed.part))
    return allowed.tokens(at: places)
  }
}
