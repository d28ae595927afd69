import WidebandTorch

/// Standard deviations and patterns that fresh weights start from, where the papers leave them open.
///
/// The connections themselves start at the published values and have no choice here. The choices below were made by
/// ablation; `docs/results` has the table.
public struct InitialValues: Codable, Hashable, Sendable {
  /// How the map from the state back to backbone width starts.
  public enum Reduce: String, Codable, Sendable, CaseIterable {
    /// Independent normal numbers of variance 1/D'.
    case random
    /// The first D channels, nothing of the others.
    case identity
    /// The mean over the groups of D channels.
    case average
    /// The first D channels as they are, and a random mixture (variance 1/D') of all channels beyond them.
    case identityAndRandom = "identity_and_random"
  }

  /// How the map from a narrow embedding to the state starts.
  public enum Expand: String, Codable, Sendable, CaseIterable {
    /// Independent normal numbers of variance 1/D.
    case random
    /// The embedding itself in the first D channels, random mixtures of it in the others.
    case identityAndRandom = "identity_and_random"
  }

  /// The standard deviation of embedding tables.
  public var embedding: Double
  /// The gain g of linear maps: standard deviation g/√(inputs).
  public var linear: Double
  /// How the reduce starts.
  public var reduce: Reduce
  /// How the expansion of a narrow embedding starts.
  public var expand: Expand

  /// A start from the given deviations and patterns.
  public init(embedding: Double, linear: Double, reduce: Reduce, expand: Expand) {
    self.embedding = embedding
    self.linear = linear
    self.reduce = reduce
    self.expand = expand
  }

  /// The values used unless a recipe says otherwise.
  public static let standard = InitialValues(
    embedding: 1, linear: 0.5, reduce: .random, expand: .identityAndRandom)

  /// The names in a recipe.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case embedding
    case linear
    case reduce
    case expand
  }

  /// The start of a linear map from `inputs` channels.
  public func linear(inputs: Int) -> InitialValue { .normal(linear / Double(inputs).squareRoot()) }

  func reduce(wide: Int, hiddenSize D: Int) -> InitialValue {
    .computed { generator in
      let random = Tensor.normal(
        [D, wide], standardDeviation: 1 / Double(wide).squareRoot(), from: generator)
      switch reduce {
      case .random: return random
      case .identity: return .identity(D, wide)
      case .average: return Self.tiledIdentity(D, wide) * (Double(D) / Double(wide))
      case .identityAndRandom: return .concatenate([.identity(D, D), random.slice(1, D...)], axis: 1)
      }
    }
  }

  func expand(wide: Int, hiddenSize D: Int) -> InitialValue {
    .computed { generator in
      let random = Tensor.normal([wide, D], standardDeviation: 1 / Double(D).squareRoot(), from: generator)
      switch expand {
      case .random: return random
      case .identityAndRandom: return .concatenate([.identity(D, D), random.slice(0, D...)], axis: 0)
      }
    }
  }

  /// Ones where column and row agree modulo D: `[D, wide]`.
  private static func tiledIdentity(_ D: Int, _ wide: Int) -> Tensor {
    let copies = (wide + D - 1) / D
    return .concatenate(Array(repeating: .identity(D, D), count: copies), axis: 1).slice(1, 0..<wide)
  }
}
