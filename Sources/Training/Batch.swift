import LanguageModel
import Torch

/// Rows of tokens and what is to be learned from them.
public struct Batch {
  /// Where the documents of rows that are shared by several stand.
  public struct Packing {
    /// The position of each token in its document, from 0, int64 `[B, T]`.
    public let positions: Tensor
    /// The same number from 0 for all tokens of one document of a row, -1 for what fills the row, int64 `[B, T]`.
    public let documents: Tensor
    /// For each token of an answer the place in the row where that answer begins, -1 for all others, int64 `[B, T]`.
    public let anchors: Tensor
  }

  /// The tokens, int64 `[B, T]`.
  public let tokens: Tensor
  /// The tokens that follow them, -100 where none is to be predicted, int64 `[B, T]`.
  public let targets: Tensor
  /// Nil where a row is one run of text.
  public let packing: Packing?

  /// A batch of rows that are each one run of text, or shared by documents.
  public init(tokens: Tensor, targets: Tensor, packing: Packing? = nil) {
    self.tokens = tokens
    self.targets = targets
    self.packing = packing
  }

  /// The same rows on a device.
  public func to(_ device: Device) -> Batch { map { $0.to(device) } }

  /// Some of the rows.
  public func rows(_ range: Range<Int>) -> Batch { map { $0.slice(0, range) } }

  /// A pass of a model over these rows, in which documents that share a row are kept apart.
  ///
  /// - Parameter gate: which tokens are cycle heads; nil for the ordinary model.
  public func pass(_ configuration: ModelConfiguration, gate: CycleGate? = nil) -> Pass {
    guard let packing else {
      return Pass(length: tokens.size(1), configuration: configuration, gate: gate, on: tokens.device)
    }
    return Pass(
      positions: packing.positions, documents: packing.documents, configuration: configuration, gate: gate)
  }

  private func map(_ change: (Tensor) -> Tensor) -> Batch {
    Batch(
      tokens: change(tokens), targets: change(targets),
      packing: packing.map {
        Packing(
          positions: change($0.positions), documents: change($0.documents), anchors: change($0.anchors))
      })
  }
}
