import WidebandTorch

/// The fractions of a step's loss terms that belong to some of its rows, one for each mean loss.
///
/// Rows of conversations differ in how many of their tokens are predicted. A step's loss is the mean over all predicted
/// tokens of the step, however its rows are divided into batches.
public struct LossFractions: Sendable {
  /// The fraction of the next-token targets, then of each prediction depth's.
  let predictions: [Double]
  /// The fraction of the rows, for the load-balancing loss.
  let balance: Double

  /// The fractions of some rows of a step.
  public init(of part: Counts, in step: Counts) {
    predictions = zip(part.predictions, step.predictions).map { $0 / max(1, $1) }
    balance = part.rows / max(1, step.rows)
  }

  /// The numbers of loss terms of some rows.
  public struct Counts: Sendable {
    /// The number of next-token targets, then of each prediction depth's.
    fileprivate var predictions: [Double]
    fileprivate var rows: Double

    /// The counts of rows with targets `[b, T]`; targets of -100 are not counted.
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
  /// The contribution of some rows to the losses of a step, from the losses of these rows.
  public func scaled(by fractions: LossFractions, _ configuration: ModelConfiguration) -> Losses {
    Losses(
      nextToken: nextToken * fractions.predictions[0], positions: positions,
      distillation: distillation.map { $0 * fractions.predictions[0] },
      mtp: zip(mtp, fractions.predictions.dropFirst()).map { $0 * $1 },
      balance: balance.map { $0 * fractions.balance }, configuration)
  }
}
