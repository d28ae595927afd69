import OrderedCollections
import WidebandTorch

/// The learning rate of each weight, as a factor of the recipe's.
///
/// Read and carry coefficients of a connection share their tensors, as checkpoints have them: these have a factor for
/// each element if the two rates differ.
struct LearningRates {
  private let settings: Recipe.Optimizer
  private let perElement: [String: Tensor]

  init(_ weights: OrderedDictionary<String, Tensor>, _ settings: Recipe.Optimizer) throws {
    self.settings = settings
    let rates = settings.connectionRates
    var perElement: [String: Tensor] = [:]
    for (name, weight) in weights where rates.read != rates.carry {
      guard let scope = Self.connection(of: name), let m = weights[scope + "static_beta"]?.size(1) else { continue }
      let axis: Int
      switch name.dropFirst(scope.count) {
      case "static_alpha", "alpha_scale": axis = 1
      case "dynamic_alpha": axis = 0
      default: continue
      }
      perElement[name] = try withTorch {
        let each = (0..<weight.size(axis)).map { Float($0 < m ? rates.read : rates.carry) }
        let line = Tensor(each, on: weight.device).unsqueezed(1 - axis)
        return line.expanded(weight.shape).contiguous()
      }
    }
    self.perElement = perElement
  }

  /// The factor of a weight; 1 for one whose elements have factors of their own.
  func factor(of name: String) -> Double {
    if perElement[name] != nil { return 1 }
    if name == "model.embed_tokens.weight" { return settings.embeddingRate }
    if name.hasPrefix("model.ngram_memory.") { return settings.memoryRate }
    guard let scope = Self.connection(of: name) else { return 1 }
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
