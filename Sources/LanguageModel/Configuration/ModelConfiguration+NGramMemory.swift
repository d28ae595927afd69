import WidebandCheckedInput
import WidebandVirtualWidth

extension ModelConfiguration {
  /// N-gram memory: tables with a row for each hash of the last tokens, which add what a token's neighbors are to its
  /// embedding. Looking up a row costs bytes and no arithmetic.
  ///
  /// The n-gram of order k at position t has the row
  ///
  ///     Σ_i x(t-i) Vⁱ mod R                   i from 0 to k - 1
  ///
  /// of table k, where tokens before the start of the document count as token 0. A model with virtual width has the rows
  /// of the first order in the second group of m slots of its first state, those of the next order in the third group,
  /// and so on. A plain model adds them to the state before every layer, each with a learned factor.
  ///
  /// Source: Over-Tokenized Transformer, arXiv 2501.16975, equation 4.
  public struct NGramMemory: Codable, Hashable, Sendable {
    /// The lengths k of the n-grams, ascending, each with a table of its own.
    public var orders: [Int]
    /// R: the number of rows of a table; V and R have no common divisor, so that all tokens of an n-gram matter.
    public var rows: Int
    /// Whether each row is divided by its root mean square.
    public var isNormalized: Bool

    /// Tables of `rows` rows.
    public init(orders: [Int], rows: Int, isNormalized: Bool = false) {
      self.orders = orders
      self.rows = rows
      self.isNormalized = isNormalized
    }

    /// Reads the keys of `config.json`; `norm` is false by default.
    public init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      try self.init(
        orders: values.decode([Int].self, forKey: .orders), rows: values.decode(Int.self, forKey: .rows),
        isNormalized: values.decodeIfPresent(Bool.self, forKey: .isNormalized) ?? false)
    }

    /// The keys in `config.json`.
    public enum CodingKeys: String, CodingKey, CaseIterable {
      case orders, rows
      case isNormalized = "norm"
    }

    /// The largest order.
    static let maximumOrder = 8

    /// The number of tokens before a token that its longest n-gram has.
    public var reach: Int { (orders.max() ?? 1) - 1 }

    /// The reason why this memory does not fit a vocabulary of V tokens and a width; nil if it does.
    func problem(vocabularySize V: Int, width: VirtualWidth?) -> String? {
      let bounds = 2...Self.maximumOrder
      if let order = orders.first(where: { !bounds.contains($0) }) {
        return "ngram_memory.orders has \(order): expected lengths of n-grams \(describe(bounds))"
      }
      if orders.isEmpty || zip(orders, orders.dropFirst()).contains(where: { $0 >= $1 }) {
        return "ngram_memory.orders is \(orders): expected ascending lengths of n-grams, such as [2, 3]"
      }
      if !Limits.vocabulary.contains(rows) {
        return "ngram_memory.rows is \(rows): expected an integer \(describe(Limits.vocabulary))"
      }
      if divisor(rows, V) != 1 {
        let next = (rows...).first { divisor($0, V) == 1 } ?? 1
        return
          "ngram_memory.rows is \(rows): expected a number without a common divisor with vocab_size, which is \(V), "
          + "such as \(next)"
      }
      if let width, width.slots < width.fractionRate * (1 + orders.count) {
        return "ngram_memory.orders has \(orders.count) orders: expected at most "
          + "\(width.slots / width.fractionRate - 1), the number of groups of virtual_width.fraction_rate slots after the first"
      }
      return nil
    }
  }
}

/// The greatest common divisor.
private func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }
