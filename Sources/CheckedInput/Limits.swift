/// The valid ranges of sizes in configurations, recipes and flags: shared, so that all of them accept the same values.
///
/// The bounds are far beyond today's models, and small enough that sums and products of a few sizes are far below 2^63.
/// A product of many sizes uses `Int.product`.
public enum Limits {
  /// Ids of a vocabulary.
  public static let vocabulary = 1...16_777_216
  /// Channels of a backbone, D.
  public static let channels = 1...1_048_576
  /// Channels of a feed-forward sublayer.
  public static let intermediateChannels = 1...16_777_216
  /// Layers of a model.
  public static let layers = 1...10_000
  /// Attention heads, channels of a head, experts.
  public static let heads = 1...65_536
  /// Tokens of a sequence, T, and of a context.
  public static let tokens = 1...1_073_741_824
  /// Tokens of an optimizer step, of a validation pass, of a token budget.
  public static let totalTokens = 1...1_099_511_627_776
  /// Rows of a batch.
  public static let rows = 1...1_048_576
  /// Tokens of one forward pass: rows of a batch times tokens of a row.
  public static let batchTokens = 1...16_777_216
  /// Optimizer steps, and intervals in steps.
  public static let steps = 1...1_000_000_000_000
  /// Tokens of a direct-decoding cycle, and of a draft.
  public static let cycle = 1...1024
  /// Multi-token prediction depths.
  public static let depths = 1...64
  /// Threads of a process.
  public static let threads = 1...1024
  /// Runs and steps that a benchmark times.
  public static let repetitions = 1...1_000_000
  /// Non-negative numbers in the range of float32.
  public static let floats = 0...3.4e38
  /// Positive numbers that are positive normal numbers in float32.
  public static let positiveFloats = 1.2e-38...3.4e38
}

/// A range as a message shows it: "from 1 to 1024".
public func describe(_ range: ClosedRange<Int>) -> String { "from \(range.lowerBound) to \(range.upperBound)" }

/// A range of real numbers as a message shows it: "from 0 to 3.4e+38".
public func describe(_ range: ClosedRange<Double>) -> String {
  func text(_ bound: Double) -> String { Int(exactly: bound).map(String.init) ?? "\(bound)" }
  return "from \(text(range.lowerBound)) to \(text(range.upperBound))"
}
