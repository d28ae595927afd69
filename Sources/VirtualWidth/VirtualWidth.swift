/// How wide a model's representation is, and how it is connected to a backbone of width D.
///
/// A backbone vector of D channels is cut into m = `fractionRate` segments of C = D/m channels. The over-width state
/// holds n = `slots` slots of that width, so it is r = n/m times as wide as the backbone: D' = nC. Every sublayer reads m
/// segments out of the n, and writes m segments back into all n.
///
/// Source: Virtual Width Networks, arXiv 2511.11238, section 3.
public struct VirtualWidth: Codable, Hashable, Sendable {
  /// Where the over-width state comes from.
  public enum Embedding: String, Codable, Sendable, CaseIterable {
    /// A table of D' channels a token.
    case wide
    /// A table of D channels a token and one linear map D → D'.
    case expanded
  }

  /// What decides how slots are mixed.
  public enum Connections: String, Codable, Sendable, CaseIterable {
    /// Learned constants and a part predicted from each slot's own content.
    case dynamic
    /// Learned constants alone.
    case `static`
  }

  /// m: equal segments that a backbone vector is cut into.
  public var fractionRate: Int
  /// n: slots of the over-width state, each as wide as a segment; at least m.
  public var slots: Int
  /// Where the over-width state comes from.
  public var embedding: Embedding
  /// What decides how slots are mixed.
  public var connections: Connections

  /// A width of `slots`/`fractionRate` times the backbone's.
  public init(
    fractionRate: Int, slots: Int, embedding: Embedding = .expanded, connections: Connections = .dynamic
  ) {
    self.fractionRate = fractionRate
    self.slots = slots
    self.embedding = embedding
    self.connections = connections
  }

  /// The names in `config.json`.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case fractionRate = "fraction_rate"
    case slots
    case embedding
    case connections
  }

  /// r: how many times wider than the backbone the state is.
  public var factor: Double { Double(slots) / Double(fractionRate) }

  /// C: channels of one slot, for a backbone of D = `hiddenSize` channels.
  public func slotWidth(hiddenSize: Int) -> Int { hiddenSize / fractionRate }

  /// D': channels of the whole state.
  public func width(hiddenSize: Int) -> Int { slots * slotWidth(hiddenSize: hiddenSize) }

  /// Whether the state is normalized in groups of D before it is reduced: only possible when r is whole.
  public var hasGroupNorm: Bool { slots.isMultiple(of: fractionRate) }

  /// Why this width does not fit a backbone of `hiddenSize` channels; nil if it does.
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
