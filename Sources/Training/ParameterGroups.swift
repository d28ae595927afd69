import OrderedCollections
import Torch

/// How the optimizer treats each weight: whether it decays, and at what share of the learning rate it moves.
///
/// Matrices and tables are decayed, the dynamic maps and scales of connections among them. Gains and biases are not,
/// nor are a connection's constants: they say how the network is wired, and pulling them to zero would take it apart.
/// Everything that belongs to a connection may move at a rate of its own: a small change of all n carries is a large
/// one once it is multiplied over depth.
public struct ParameterGroups {
  /// Weights that are treated alike.
  public struct Group {
    /// Whether the weights decay.
    public let isDecayed: Bool
    /// Whether the weights belong to a connection.
    public let isConnection: Bool
    /// The weights, by name.
    public fileprivate(set) var weights: [(name: String, tensor: Tensor)] = []
  }

  /// All groups that have weights.
  public let groups: [Group]

  /// The groups of a model's weights.
  public init(_ weights: OrderedDictionary<String, Tensor>) {
    var groups: [Group] = []
    for (name, tensor) in weights {
      let isDecayed = Self.isDecayed(name, rank: tensor.rank)
      let isConnection = name.contains("_connection.")
      if let known = groups.firstIndex(where: { $0.isDecayed == isDecayed && $0.isConnection == isConnection }) {
        groups[known].weights.append((name, tensor))
      } else {
        groups.append(Group(isDecayed: isDecayed, isConnection: isConnection, weights: [(name, tensor)]))
      }
    }
    self.groups = groups
  }

  static func isDecayed(_ name: String, rank: Int) -> Bool {
    rank > 1 && !name.hasSuffix(".static_alpha") && !name.hasSuffix(".static_beta")
  }
}
