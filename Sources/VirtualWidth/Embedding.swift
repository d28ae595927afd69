import WidebandTorch

/// The embedding: tokens to the state that enters the first layer.
///
/// A wide embedding is a table `[V, D']`. An expanded one is a table `[V, D]` and a map W `[D', D]`, E = W e. Without
/// virtual width it is a table `[V, D]`, and the state has one slot. Source: arXiv 2511.11238, section 3.1.
public struct OverWidthEmbedding {
  /// The table: `[V, D']` wide, `[V, D]` otherwise.
  public let table: WeightMatrix
  private let expand: WeightMatrix?
  private let slots: Int
  private let dtype: DType

  /// The embedding with its weights in `scope` ("model").
  public init(
    vocabularySize: Int, hiddenSize: Int, width: VirtualWidth?, start: InitialValues, computingIn dtype: DType,
    in scope: Scope
  ) throws {
    let wide = width?.width(hiddenSize: hiddenSize) ?? hiddenSize
    let isExpanded = width?.embedding == .expanded
    table = try scope["embed_tokens"].matrix(
      "weight", vocabularySize, isExpanded ? hiddenSize : wide, .normal(start.embedding))
    expand = isExpanded ? try Self.expand(wide: wide, hiddenSize: hiddenSize, start: start, in: scope) : nil
    slots = width?.slots ?? 1
    self.dtype = dtype
  }

  /// The map `[D', D]` of an expanded embedding, with its weights in `scope` ("model").
  @discardableResult
  package static func expand(
    wide: Int, hiddenSize: Int, start: InitialValues, in scope: Scope
  ) throws -> WeightMatrix {
    try scope["embed_expand"].matrix("weight", wide, hiddenSize, start.expand(wide: wide, hiddenSize: hiddenSize))
  }

  /// The state `[B, T, n, C]` of integer tokens `[B, T]`.
  public func callAsFunction(_ tokens: Tensor) -> Tensor {
    var state = table.indexSelect(tokens).to(dtype)
    if let expand { state = state.linear(expand) }
    return state.reshaped(tokens.shape + [slots, -1])
  }
}
