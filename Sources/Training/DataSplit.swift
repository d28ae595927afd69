import CheckedInput

/// Which documents, or blocks of a text, are held out for validation.
///
/// They are taken in groups of 1/fraction, and a hash picks one of each group: the held-out part is spread over the
/// whole corpus, has the size asked for, and depends on nothing but the seed and the position.
struct DataSplit {
  /// The held-out part as a fraction: with integers, groups meet without gaps.
  private let numerator, denominator: Int
  private let seed: UInt64

  private static let million = 1_000_000

  /// Parts that can be held out: where less than a millionth is trained on, it would be nothing.
  static let fractions = 0...0.999999

  /// - Parameter fraction: the held-out part, one of `fractions`. What is below 10^-18 is nothing.
  init(fraction: Double, seed: UInt64) {
    var denominator = Self.million
    while fraction > 0, fraction * Double(denominator) < 1, denominator < 1_000_000_000_000_000_000 {
      denominator *= Self.million
    }
    numerator = Int(clamping: fraction * Double(denominator))
    self.denominator = denominator
    self.seed = seed
  }

  /// The split that document or block number `index` belongs to.
  func callAsFunction(_ index: Int) -> TokenDataset.Split {
    guard numerator > 0 else { return .train }
    let group = index * numerator / denominator
    let first = start(of: group)
    let pick = DataPermutation.hash(UInt64(group), key: seed) % UInt64(start(of: group + 1) - first)
    return index - first == Int(pick) ? .validation : .train
  }

  private func start(of group: Int) -> Int { (group * denominator + numerator - 1) / numerator }
}
