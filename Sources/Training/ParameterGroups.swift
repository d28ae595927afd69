import OrderedCollections
import Torch

/// Which weights the optimizer decays.
///
/// Matrices and tables are decayed, the dynamic maps and scales of connections among them. Gains and biases are not,
/// nor are a connection's constants: they say how the network is wired, and pulling them to zero would take it apart.
public struct ParameterGroups {
  /// Weights that decay.
  public let decayed: [(name: String, tensor: Tensor)]
  /// Weights that do not.
  public let kept: [(name: String, tensor: Tensor)]

  /// The groups of a model's weights.
  public init(_ weights: OrderedDictionary<String, Tensor>) {
    var decayed: [(name: String, tensor: Tensor)] = []
    var kept: [(name: String, tensor: Tensor)] = []
    for (name, tensor) in weights {
      if Self.isDecayed(name, rank: tensor.rank) {
        decayed.append((name, tensor))
      } else {
        kept.append((name, tensor))
      }
    }
    self.decayed = decayed
    self.kept = kept
  }

  static func isDecayed(_ name: String, rank: Int) -> Bool {
    rank > 1 && !name.hasSuffix(".static_alpha") && !name.hasSuffix(".static_beta")
  }
}
