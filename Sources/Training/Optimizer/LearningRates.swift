import OrderedCollections
import WidebandTorch

/// The learning rate of each weight, as a factor of the recipe's.
///
/// Read and carry coefficients of a connection share their tensors, as checkpoints have them: these have a factor for
/// each element if the two rates differ.
struct LearningRates {
  /// By name; 1 for weights whose elements have factors of their own. Kept, as every step needs them.
  private let factors: [String: Double]
  private let perElement: [String: Tensor]

  init(_ weights: OrderedDictionary<String, Tensor>, _ settings: Recipe.Optimizer) throws {
    let rates = settings.connectionRates
    var factors: [String: Double] = [:]
    var perElement: [String: Tensor] = [:]
    for (name, weight) in weights {
      factors[name] = Self.factor(of: name, settings)
      guard rates.read != rates.carry, let scope = Self.connection(of: name),
        let m = weights[scope + "static_beta"]?.size(1)
      else { continue }
      let axis: Int
      switch name.dropFirst(scope.count) {
      case "static_alpha", "alpha_scale": axis = 1
      case "dynamic_alpha": axis = 0
      default: continue
      }
      factors[name] = 1
      perElement[name] = try withTorch {
        let each = (0..<weight.size(axis)).map { Float($0 < m ? rates.read : rates.carry) }
        let line = Tensor(each, on: weight.device).unsqueezed(1 - axis)
        return line.expanded(weight.shape).contiguous()
      }
    }
    (self.factors, self.perElement) = (factors, perElement)
  }

  /// The factor of a weight; 1 for one whose elements have factors of their own.
  func factor(of name: String) -> Double { factors[name] ?? 1 }

  private static func factor(of name: String, _ settings: Recipe.Optimizer) -> Double {
    if name == "model.embed_tokens.weight" { return settings.embeddingRate }
    if name.hasPrefix("model.ngram_memory.") { return settings.memoryRate }
    guard let scope = connection(of: name) else { return 1 }
    let isWrite = name.dropFirst(scope.count).contains("beta")
    return isWrite ? settings.connectionRates.write : settings.connectionRates.read
  }

  /// The factors of a weight's elements, of the weight's shape; nil if they are all the same.
  func elementFactors(of name: String) -> Tensor? { perElement[name] }

  /// The scope of the connection that a weight belongs to, such as "model.layers.0.mlp_connection."; nil for others.
  static func connection(of name: String) -> Substring? {
    name.range(of: "_connection.").map { name[..<$0.upperBound] }
  }
}
