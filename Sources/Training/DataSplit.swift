/// Which documents, or blocks of a text, are held out for validation.
///
/// They are taken in groups of 1/fraction, and a hash picks one of each group: the held-out part is spread over the
/// whole corpus, has the size asked for, and depends on nothing but the seed and the position.
struct DataSplit {
  /// The held-out part in millionths: with integers, groups meet without gaps.
  private let millionths: Int
  private let seed: UInt64

  private static let million = 1_000_000

  /// Parts that can be held out: where less than a millionth is held out or trained on, it would be nothing.
  static let fractions = 0.000001...0.999999

  /// - Parameter fraction: the held-out part, 0 or one of `fractions`.
  init(fraction: Double, seed: UInt64) {
    millionths = Int((fraction * Double(Self.million)).rounded())
    self.seed = seed
  }

  /// The split that document or block number `index` belongs to.
  func callAsFunction(_ index: Int) -> TokenDataset.Split {
    guard millionths > 0 else { return .train }
    let group = index * millionths / Self.million
    let first = start(of: group)
    let pick = DataPermutation.hash(UInt64(group), key: seed) % UInt64(start(of: group + 1) - first)
    return index - first == Int(pick) ? .validation : .train
  }

  private func start(of group: Int) -> Int { (group * Self.million + millionths - 1) / millionths }
}
