import WidebandCheckedInput

/// The choice of documents, or blocks of a text, that are held out for validation.
///
/// Of each group of 1/fraction documents a hash selects one: the held-out part is spread over the whole corpus, has the
/// requested size, and depends only on the seed and the position.
struct DataSplit {
  /// The held-out fraction. With integers, groups have no gaps between them.
  private let numerator, denominator: Int
  private let seed: UInt64

  private static let million = 1_000_000

  /// The valid fractions; at least a millionth must remain for training.
  static let fractions = 0...0.999999

  /// - Parameter fraction: the held-out part, one of `fractions`; 0 if less than 10^-18.
  init(fraction: Double, seed: UInt64) {
    var denominator = Self.million
    while fraction > 0, fraction * Double(denominator) < 1, denominator < 1_000_000_000_000_000_000 {
      denominator *= Self.million
    }
    numerator = Int(clamping: fraction * Double(denominator))
    self.denominator = denominator
    self.seed = seed
  }

  /// The split that holds out everything.
  static let allHeldOut = DataSplit(numerator: 1, denominator: 1, seed: 0)

  private init(numerator: Int, denominator: Int, seed: UInt64) {
    (self.numerator, self.denominator, self.seed) = (numerator, denominator, seed)
  }

  /// The split of document or block number `index`.
  func callAsFunction(_ index: Int) -> TokenDataset.Split {
    guard numerator > 0 else { return .train }
    let group = index * numerator / denominator
    let first = start(of: group)
    let pick = DataPermutation.hash(UInt64(group), key: seed) % UInt64(start(of: group + 1) - first)
    return index - first == Int(pick) ? .validation : .train
  }

  private func start(of group: Int) -> Int { (group * denominator + numerator - 1) / numerator }
}
