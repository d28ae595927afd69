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

  /// The shares of rows whose targets are `part`, `[b, T]`, in a step whose targets are `whole`, `[B, T]`.
  ///
  /// - Throws: the first error of an operator.
  public init(of part: Tensor, in whole: Tensor, _ configuration: ModelConfiguration) throws {
    func count(_ targets: Tensor, _ depth: Int) throws -> Double {
      try (targets.slice(1, depth...) .< 0).not().sum().item()
    }
    let depths = 0...min(configuration.multiTokenPrediction?.depth ?? 0, whole.size(1) - 1)
    predictions = try withTorch { try depths.map { try count(part, $0) / max(1, count(whole, $0)) } }
    balance = Double(part.size(0)) / Double(whole.size(0))
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
