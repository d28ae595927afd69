import WidebandTorch

/// B rows of T tokens with their targets.
public struct Batch {
  /// The layout of rows that are packed with several documents.
  public struct Packing {
    /// The position of each token in its document, from 0, int64 `[B, T]`.
    public let positions: Tensor
    /// The index of each token's document in its row, from 0; -1 for padding; int64 `[B, T]`.
    public let documents: Tensor
    /// The start in the row of each answer token's answer; -1 for all other tokens; int64 `[B, T]`.
    public let anchors: Tensor
  }

  /// The input tokens, int64 `[B, T]`.
  public let tokens: Tensor
  /// The next token of each, -100 where the loss ignores it, int64 `[B, T]`.
  public let targets: Tensor
  /// The layout of packed rows; nil if each row is one span of text.
  public let packing: Packing?

  /// A batch of rows, each one span of text, or packed with documents.
  public init(tokens: Tensor, targets: Tensor, packing: Packing? = nil) {
    self.tokens = tokens
    self.targets = targets
    self.packing = packing
  }

  /// The same rows on a device.
  public func to(_ device: Device) -> Batch {
    Batch(
      tokens: tokens.to(device), targets: targets.to(device),
      packing: packing.map {
        Packing(
          positions: $0.positions.to(device), documents: $0.documents.to(device), anchors: $0.anchors.to(device))
      })
  }
}
