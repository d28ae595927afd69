import WidebandTorch

/// A Virtual Width Network in composed operators: Algorithm 1 of arXiv 2511.11238, from tokens to the reduced output.
///
/// The state H of a token has n slots of C channels, D' = nC in all. The sublayers T (attention and feed-forward) keep the
/// width D = mC of the backbone. This type states the algorithm; `LanguageModel` computes the same with fused kernels.
///
/// ```swift
/// let network = model.virtualWidthNetwork
/// let hidden = network?(tokens, sublayers: model.sublayers(in: context))      // [B, T, D]
/// ```
public struct VirtualWidthNetwork {
  /// Tokens to the first state: a table of D' channels, or of D channels and a map D → D'.
  public let embedding: OverWidthEmbedding
  /// One connection for each sublayer.
  public let connections: [GeneralizedHyperConnection]
  /// The last state to D channels.
  public let reduce: Reduce

  /// A network of these parts, which must be of one width.
  public init(embedding: OverWidthEmbedding, connections: [GeneralizedHyperConnection], reduce: Reduce) {
    self.embedding = embedding
    self.connections = connections
    self.reduce = reduce
  }

  /// The reduced output `[B, T, D]` for integer tokens `[B, T]`.
  ///
  /// - Parameter sublayers: T of each connection in order, `[B, T, D]` to `[B, T, D]`, each with its own norm.
  public func callAsFunction(_ tokens: Tensor, sublayers: [(Tensor) -> Tensor]) -> Tensor {
    var H = embedding(tokens)  // [B, T, n, C]
    for (connection, T) in zip(connections, sublayers) {
      let (read, carry, write) = connection.coefficients(of: H).matrices  // [n, m], [n, n], [m, n] of each token
      let x = read.transposed().matmul(H)  // A°ᵀ H     [B, T, m, C]
      let y = T(x.flattened(-2)).reshaped(x.shape)  // T(A°ᵀ H)  [B, T, m, C]
      H = write.transposed().matmul(y) + carry.transposed().matmul(H)  // Bᵀ T(A°ᵀ H) + Âᵀ H
    }
    return reduce(H)  // W GroupNorm(H)
  }
}
