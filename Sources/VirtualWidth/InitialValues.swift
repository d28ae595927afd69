import WidebandTorch

/// The initial values of weights for which the papers give none. The standard ones were chosen by ablation, see
/// `docs/results`. Connections have the published initial values, which cannot be changed.
public struct InitialValues: Codable, Hashable, Sendable {
  /// The initial map from the state to backbone width.
  public enum Reduce: String, Codable, Sendable, CaseIterable {
    /// Independent samples of a normal distribution with variance 1/D'.
    case random
    /// The first D channels; the others have weight zero.
    case identity
    /// The mean over the groups of D channels.
    case average
    /// The first D channels plus a random mixture of the others, with variance 1/D'.
    case identityAndRandom = "identity_and_random"
  }

  /// The initial map from an embedding of width D to the state.
  public enum Expand: String, Codable, Sendable, CaseIterable {
    /// Independent samples of a normal distribution with variance 1/D.
    case random
    /// The embedding in the first D channels, random mixtures of it in the others.
    case identityAndRandom = "identity_and_random"
  }

  /// The standard deviation of embedding tables.
  public var embedding: Double
  /// The gain g of linear maps: standard deviation g/√(inputs).
  public var linear: Double
  /// The initial reduce.
  public var reduce: Reduce
  /// The initial expansion of an embedding of width D.
  public var expand: Expand

  /// Initial values of the given deviations and kinds.
  public init(embedding: Double, linear: Double, reduce: Reduce, expand: Expand) {
    self.embedding = embedding
    self.linear = linear
    self.reduce = reduce
    self.expand = expand
  }

  /// The default initial values of a recipe.
  public static let standard = InitialValues(
    embedding: 1, linear: 0.5, reduce: .random, expand: .identityAndRandom)

  /// The keys in a recipe.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case embedding, linear, reduce, expand
  }

  /// The initial value of a linear map from `inputs` channels.
  public func linear(inputs: Int) -> InitialValue { .normal(linear / Double(inputs).squareRoot()) }

  func reduce(wide: Int, hiddenSize D: Int) -> InitialValue {
    .computed { generator in
      let random = Tensor.normal([D, wide], standardDeviation: 1 / Double(wide).squareRoot(), from: generator)
      switch reduce {
      case .random: return random
      case .identity: return .identity(D, wide)
      case .average:
        // Ones where column and row agree modulo D.
        let copies = Array(repeating: Tensor.identity(D, D), count: (wide + D - 1) / D)
        return .concatenate(copies, axis: 1).slice(1, 0..<wide) * (Double(D) / Double(wide))
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
}
