/// The sizes that a model, a recipe and the command's flags may name: shared, so that what one accepts no other refuses.
///
/// They are far beyond what is trained today and small enough that sums and products of a few of them are far below
/// 2^63. A product of many still goes through `Int.product`.
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
  /// Optimizer steps, and steps between two events.
  public static let steps = 1...1_000_000_000_000
  /// Tokens of a direct-decoding cycle, and of a draft.
  public static let cycle = 1...1024
  /// Multi-token prediction depths.
  public static let depths = 1...64
  /// Threads of a process.
  public static let threads = 1...1024
}

/// What a message calls a range: "from 1 to 1024".
public func describe(_ range: ClosedRange<Int>) -> String { "from \(range.lowerBound) to \(range.upperBound)" }
