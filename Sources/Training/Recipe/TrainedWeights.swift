/// The weights that a run trains; the others are frozen, and have no gradients and no moments.
public enum TrainedWeights: String, Codable, Hashable, Sendable, CaseIterable {
  /// All.
  case all
  /// What a wide model has and a plain one has not: connections, the embedding's expansion, the reduce with its norm, and
  /// tables of n-grams with their factors.
  case width
  /// Connections, and the gains and biases of all norms.
  case connectionsAndNorms = "connections_and_norms"

  /// Whether a weight is trained, by its name.
  func contains(_ name: String) -> Bool {
    let isConnection = LearningRates.connection(of: name) != nil
    switch self {
    case .all: return true
    case .width:
      let parts = ["embed_expand.", "reduce.", "reduce_norm.", "ngram_memory.", "ngram_factors"]
      return isConnection || parts.contains(where: name.contains)
    case .connectionsAndNorms:
      return isConnection || name.split(separator: ".").dropLast().last?.hasSuffix("norm") == true
    }
  }
}
