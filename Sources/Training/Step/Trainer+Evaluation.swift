import WidebandData
import WidebandDistributed
import WidebandLanguageModel
import WidebandTorch

extension Trainer {
  /// The fraction of the last batch's routed tokens that each expert was assigned, by layer of experts; empty without
  /// experts.
  ///
  /// - Throws: the first error of an operator; `DistributedError` if another process is lost.
  public func expertLoads() throws -> [[Double]] {
    let own = try withTorch { try routedTokens.map { try $0.elements(Double.self) } }
    // The last process has the last batch.
    let layers = try group.map { group in try own.map { try group.allGather($0)[group.size - 1] } } ?? own
    return layers.map { counts in counts.map { $0 / max(1, counts.reduce(0, +)) } }
  }

  /// Whether there are held-out data.
  public var hasHeldOutText: Bool { !validation.isEmpty }

  /// Evaluates the model on held-out data: the same rows every time, and when tuning for direct decoding with the same
  /// gates. Of several processes each evaluates its share of the batches, and all have the same result.
  ///
  /// - Throws: `DataError` without held-out data; `NotFiniteError` if a loss is not finite; `DistributedError` if another
  ///   process is lost.
  public func evaluate() throws -> Evaluation {
    let settings = recipe.training
    let rows = max(1, min(settings.rowsPerBatch, recipe.validation.tokens / settings.sequenceLength))
    let batches = try validation.validationBatches(
      rows: rows, length: settings.sequenceLength, limit: recipe.validation.tokens)
    return try Evaluation(
      model, on: batches.lazy.map { $0.to(self.device) }, byteLengths: byteLengths, in: group ?? ProcessGroup()
    ) { [tuning] number, batch in
      try tuning?.gate(over: batch, step: number, firstRow: 0, of: batch.tokens.size(0))
    }
  }

  /// Statistics of the connections on the first row of held-out data; nil for a model without virtual width.
  ///
  /// - Throws: the first error of an operator.
  public func connectionStatistics() throws -> ConnectionStatistics? {
    let length = min(recipe.training.sequenceLength, 128)
    for batch in try validation.validationBatches(rows: 1, length: length, limit: 1) {
      return try ConnectionStatistics(model, tokens: batch.tokens.to(device))
    }
    return nil
  }
}
