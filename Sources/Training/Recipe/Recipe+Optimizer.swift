import WidebandCheckedInput

extension Recipe {
  /// AdamW with decoupled weight decay.
  public struct Optimizer: Codable, Hashable, Sendable {
    /// The maximum learning rate.
    public var learningRate: Double
    /// The learning rate of the token table, as a factor of the learning rate; 1 by default.
    public var embeddingRate: Double
    /// The learning rate of the n-gram tables, as a factor of the learning rate; 1 by default.
    public var memoryRate: Double
    /// The learning rates of connections, as factors of the learning rate.
    public var connectionRates: ConnectionRates
    /// β₁: the decay of the mean of gradients.
    public var beta1: Double
    /// β₂: the decay of the mean of squared gradients.
    public var beta2: Double
    /// ε, which is added to the root of the mean square.
    public var epsilon: Double
    /// The decoupled weight decay: a step subtracts learning rate · weight decay · weight.
    public var weightDecay: Double
    /// The maximum norm of all gradients together, to which larger ones are scaled; infinite for no clipping.
    public var clip: Double

    /// An optimizer with the given settings.
    public init(
      learningRate: Double, embeddingRate: Double = 1, memoryRate: Double = 1, connectionRates: ConnectionRates,
      beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, clip: Double
    ) {
      self.learningRate = learningRate
      self.embeddingRate = embeddingRate
      self.memoryRate = memoryRate
      self.connectionRates = connectionRates
      self.beta1 = beta1
      self.beta2 = beta2
      self.epsilon = epsilon
      self.weightDecay = weightDecay
      self.clip = clip
    }

    /// Reads the keys of a recipe. Of the numbers only the clip may be infinite.
    public init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      func number(_ key: CodingKeys) throws -> Double { try values.decode(Double.self, forKey: key) }
      func factor(_ key: CodingKeys) throws -> Double { try values.decodeIfPresent(Double.self, forKey: key) ?? 1 }
      learningRate = try number(.learningRate)
      embeddingRate = try factor(.embeddingRate)
      memoryRate = try factor(.memoryRate)
      connectionRates = try values.decode(ConnectionRates.self, forKey: .connectionRates)
      beta1 = try number(.beta1)
      beta2 = try number(.beta2)
      epsilon = try number(.epsilon)
      weightDecay = try number(.weightDecay)
      let isUnbounded = try values.decode(JSONValue.self, forKey: .clip) == .number(JSONNumber("Infinity"))
      clip = isUnbounded ? .infinity : try number(.clip)
    }

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case learningRate = "learning_rate"
      case embeddingRate = "embedding_rate"
      case memoryRate = "memory_rate"
      case connectionRates = "connection_rate"
      case beta1, beta2, epsilon
      case weightDecay = "weight_decay"
      case clip
    }

    /// The factors of the learning rate, with their keys in a recipe.
    var rates: [(key: String, factor: Double)] {
      [
        ("embedding_rate", embeddingRate), ("memory_rate", memoryRate), ("connection_rate.read", connectionRates.read),
        ("connection_rate.write", connectionRates.write), ("connection_rate.carry", connectionRates.carry),
      ]
    }
  }

  /// The learning rates of connections, as factors of the learning rate. A factor of 0 freezes these coefficients at
  /// their initial values: with all three at 0 the connections are identity hyper-connections.
  public struct ConnectionRates: Codable, Hashable, Sendable {
    /// The rate of the read coefficients A°, and of the norm before the dynamic maps.
    public var read: Double
    /// The rate of the write coefficients B.
    public var write: Double
    /// The rate of the carry coefficients Â, whose changes are multiplied over depth.
    public var carry: Double

    /// Three rates.
    public init(read: Double, write: Double, carry: Double) {
      (self.read, self.write, self.carry) = (read, write, carry)
    }

    /// One rate for all coefficients.
    public init(all rate: Double) { self.init(read: rate, write: rate, carry: rate) }

    /// The keys in a recipe.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case read, write, carry
    }
  }
}
