/// The width of the over-width state, and its connections to a backbone of width D.
///
/// The input of a sublayer has m = `fractionRate` segments of C = D/m channels. The over-width state has n = `slots`
/// slots of C channels, D' = nC in all: it is r = n/m times as wide as the backbone. A sublayer reads m mixtures of the
/// slots and adds its m output segments to all slots.
///
/// Source: Virtual Width Networks, arXiv 2511.11238, section 3.
public struct VirtualWidth: Codable, Hashable, Sendable {
  /// The source of the over-width state that enters the first layer.
  public enum Embedding: String, Codable, Sendable, CaseIterable {
    /// A table of D' channels per token.
    case wide
    /// A table of D channels per token and a linear map D → D'.
    case expanded
  }

  /// The coefficients that mix the slots.
  public enum Connections: String, Codable, Sendable, CaseIterable {
    /// Learned constants plus a part predicted from each slot's content.
    case dynamic
    /// Learned constants alone.
    case `static`
  }

  /// The norm before the reduce, over groups of D channels.
  public enum ReduceNorm: String, Codable, Sendable, CaseIterable {
    /// Mean and variance of each group, with a gain and a bias: the published norm.
    case group
    /// The root mean square of each group, with a gain. A model that was plain keeps its outputs: the norm that follows
    /// divides by the root mean square again.
    case rms
    /// None.
    case none
  }

  /// m: the number of segments of a backbone vector.
  public var fractionRate: Int
  /// n: the number of slots of the over-width state, each as wide as a segment; at least m.
  public var slots: Int
  /// The source of the state that enters the first layer.
  public var embedding: Embedding
  /// The coefficients that mix the slots.
  public var connections: Connections
  /// The norm before the reduce, which there is only if r is an integer: otherwise its groups do not fit.
  public var reduceNorm: ReduceNorm

  /// A width of `slots`/`fractionRate` times the backbone's.
  public init(
    fractionRate: Int, slots: Int, embedding: Embedding = .expanded, connections: Connections = .dynamic,
    reduceNorm: ReduceNorm = .group
  ) {
    self.fractionRate = fractionRate
    self.slots = slots
    self.embedding = embedding
    self.connections = connections
    self.reduceNorm = reduceNorm
  }

  /// Reads the keys of `config.json`; `reduce_norm` is `group` by default.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      fractionRate: values.decode(Int.self, forKey: .fractionRate), slots: values.decode(Int.self, forKey: .slots),
      embedding: values.decode(Embedding.self, forKey: .embedding),
      connections: values.decode(Connections.self, forKey: .connections),
      reduceNorm: values.decodeIfPresent(ReduceNorm.self, forKey: .reduceNorm) ?? .group)
  }

  /// The keys in `config.json`.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case fractionRate = "fraction_rate"
    case slots, embedding, connections
    case reduceNorm = "reduce_norm"
  }

  /// r: the width of the state divided by that of the backbone.
  public var factor: Double { Double(slots) / Double(fractionRate) }

  /// C: the number of channels of a slot, for a backbone of D = `hiddenSize` channels.
  public func slotWidth(hiddenSize: Int) -> Int { hiddenSize / fractionRate }

  /// D': the number of channels of the state.
  public func width(hiddenSize: Int) -> Int { slots * slotWidth(hiddenSize: hiddenSize) }

  /// The norm that the reduce has: none if r is not an integer.
  public var effectiveReduceNorm: ReduceNorm { slots.isMultiple(of: fractionRate) ? reduceNorm : .none }

  /// The reason why this width does not fit a backbone of `hiddenSize` channels; nil if it does.
  public func problem(hiddenSize: Int) -> String? {
    if fractionRate < 1 { return "virtual_width.fraction_rate is \(fractionRate): expected at least 1" }
    if slots < fractionRate {
      return "virtual_width.slots is \(slots): expected at least fraction_rate, which is \(fractionRate)"
    }
    if !hiddenSize.isMultiple(of: fractionRate) {
      return "virtual_width.fraction_rate is \(fractionRate): expected a divisor of hidden_size, which is \(hiddenSize)"
    }
    if slots > 4096 { return "virtual_width.slots is \(slots): expected at most 4096" }
    return nil
  }
}
