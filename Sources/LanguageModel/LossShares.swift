import Torch

/// How much the means over some rows of a step count in the means over all of its rows.
///
/// Rows of conversations differ in how many tokens are to be predicted. The mean over a step is the mean over all of
/// these, however its rows are dealt out to passes through the model.
public struct LossShares: Sendable {
  /// Of the next token, then of each prediction depth.
  let predictions: [Double]
  /// Of the experts' balance, which is one of passes and not of tokens.
  let balance: Double

  /// The shares of some rows in a step.
  public init(of part: Counts, in whole: Counts) {
    predictions = zip(part.predictions, whole.predictions).map { $0 / max(1, $1) }
    balance = part.rows / max(1, whole.rows)
  }

  /// What rows have that losses are means over; of all rows of a step it is the sum over its parts.
  public struct Counts: Sendable {
    /// Targets that count, of the next token, then of each prediction depth.
    fileprivate var predictions: [Double]
    fileprivate var rows: Double

    /// The counts of rows whose targets are `[b, T]`.
    ///
    /// - Throws: the first error of an operator.
    public init(_ targets: Tensor, _ configuration: ModelConfiguration) throws {
      let depths = 0...min(configuration.multiTokenPrediction?.depth ?? 0, targets.size(1) - 1)
      predictions = try withTorch {
        try depths.map { try (targets.slice(1, $0...) .< 0).not().sum().item() }
      }
      rows = Double(targets.size(0))
    }

    /// Adds the counts of other rows of the same length.
    public static func += (sum: inout Counts, other: Counts) {
      sum.predictions = zip(sum.predictions, other.predictions).map { $0 + $1 }
      sum.rows += other.rows
    }
  }
}

extension Losses {
  /// What these losses, which are those of some rows, add to the losses of a step.
  public func portion(_ shares: LossShares, _ configuration: ModelConfiguration) -> Losses {
    Losses(
      nextToken: nextToken * shares.predictions[0], positions: positions,
      distillation: distillation.map { $0 * shares.predictions[0] },
      deeper: zip(deeper, shares.predictions.dropFirst()).map { $0 * $1 }, balance: balance.map { $0 * shares.balance },
      configuration)
  }
}
