import WidebandTorch

/// The initial values of weights for which the papers give none. The standard ones were chosen by ablation, see
/// `docs/results`. Connections have the published initial values, except for the groups of slots that they read.
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
    /// The embedding in the first D channels, zeros in the others.
    case identity
  }

  /// The group of m slots that the connections of a layer read at the start.
  public enum Read: String, Codable, Sendable, CaseIterable {
    /// The first one, as published.
    case first
    /// Group l mod r in layer l, so that the groups differ from the first step on.
    case rotating
  }

  /// The standard deviation of embedding tables.
  public var embedding: Double
  /// The gain g of linear maps: standard deviation g/√(inputs).
  public var linear: Double
  /// The initial reduce.
  public var reduce: Reduce
  /// The initial expansion of an embedding of width D.
  public var expand: Expand
  /// The group of slots that connections read at first.
  public var read: Read
  /// The standard deviation of the tables of n-grams.
  public var memory: Double

  /// Initial values of the given deviations and kinds.
  public init(
    embedding: Double, linear: Double, reduce: Reduce, expand: Expand, read: Read = .first, memory: Double = 0
  ) {
    self.embedding = embedding
    self.linear = linear
    self.reduce = reduce
    self.expand = expand
    self.read = read
    self.memory = memory
  }

  /// Reads the keys of a recipe; `read` is first and `memory` 0 by default.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      embedding: values.decode(Double.self, forKey: .embedding), linear: values.decode(Double.self, forKey: .linear),
      reduce: values.decode(Reduce.self, forKey: .reduce), expand: values.decode(Expand.self, forKey: .expand),
      read: values.decodeIfPresent(Read.self, forKey: .read) ?? .first,
      memory: values.decodeIfPresent(Double.self, forKey: .memory) ?? 0)
  }

  /// The default initial values of a recipe.
  public static let standard = InitialValues(
    embedding: 1, linear: 0.5, reduce: .random, expand: .identityAndRandom)

  /// The keys in a recipe.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case embedding, linear, reduce, expand, read, memory
  }

  /// The initial value of a linear map from `inputs` channels.
  public func linear(inputs: Int) -> InitialValue { .normal(linear / Double(inputs).squareRoot()) }

  /// The read coefficients A° `[n, m]` of the connections of a layer: they read one group of m slots.
  func read(_ width: VirtualWidth, layer: Int) -> Tensor {
    let (m, n) = (width.fractionRate, width.slots)
    let first = read == .rotating ? layer % (n / m) * m : 0
    return Tensor((0..<n).flatMap { slot in (0..<m).map { Float($0 == slot - first ? 1 : 0) } }, shape: [n, m])
  }

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
      case .identity: return .identity(wide, D)
      }
    }
  }
}
