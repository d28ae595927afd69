import OrderedCollections
import WidebandTorch

/// Parameter groups: whether a weight has weight decay, and whether it belongs to a connection.
///
/// Matrices and the token table have weight decay, including the dynamic maps and scales of connections. Gains and
/// biases have none, nor have the static coefficients of connections: decay would remove the connections between slots.
/// Nor have the tables of n-grams: decay would shrink a row at every step, though its n-gram is rare. Learning rates
/// are those of `LearningRates`.
///
/// Source of the weight decay of connections: arXiv 2511.11238.
public struct ParameterGroups {
  /// Weights with the same hyperparameters.
  public struct Group {
    /// Whether the weights have weight decay.
    public let isDecayed: Bool
    /// Whether the weights belong to a connection.
    public let isConnection: Bool
    /// The weights, by name.
    public fileprivate(set) var weights: [(name: String, tensor: Tensor)] = []
  }

  /// The groups that are not empty.
  public let groups: [Group]

  /// The groups of a model's weights.
  public init(_ weights: OrderedDictionary<String, Tensor>) {
    var groups: [Group] = []
    for (name, tensor) in weights {
      let isDecayed = Self.isDecayed(name, rank: tensor.rank)
      let isConnection = LearningRates.connection(of: name) != nil
      if let known = groups.firstIndex(where: { $0.isDecayed == isDecayed && $0.isConnection == isConnection }) {
        groups[known].weights.append((name, tensor))
      } else {
        groups.append(Group(isDecayed: isDecayed, isConnection: isConnection, weights: [(name, tensor)]))
      }
    }
    self.groups = groups
  }

  /// Whether a weight has weight decay.
  static func isDecayed(_ name: String, rank: Int) -> Bool {
    rank > 1 && !name.hasSuffix(".static_alpha") && !name.hasSuffix(".static_beta")
      && !name.hasPrefix("model.ngram_memory.")
  }
}
