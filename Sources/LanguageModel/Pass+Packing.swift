import Torch

extension Pass {
  /// A pass over rows in which several documents stand side by side, each of which sees itself alone.
  ///
  /// - Parameters:
  ///   - positions: integer positions `[B, T]`, from 0 in every document.
  ///   - documents: `[B, T]`, the same number from 0 wherever a row's tokens belong to the same document; -1 where a
  ///     row has no text.
  ///   - configuration: the model's.
  ///   - gate: which tokens are cycle heads; nil for the ordinary model.
  public convenience init(
    positions: Tensor, documents: Tensor, configuration: ModelConfiguration, gate: CycleGate? = nil
  ) {
    let order = Tensor.range(0..<documents.size(1), on: documents.device)
    let isLater = order.unsqueezed(1) .< order.unsqueezed(0)
    let isSame = documents.unsqueezed(2) .== documents.unsqueezed(1)
    self.init(
      positions: positions, configuration: configuration, memory: nil,
      mask: isSame.masked(isLater, 0).unsqueezed(1), padding: documents .< 0, gate: gate)
  }
}
