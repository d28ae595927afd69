import Torch

/// Numbers from 0 below 1, one for each token that is drawn, which can be looked at before they are taken: a GPU has
/// those of its next steps beside it.
final class RandomNumbers {
  /// How many were taken.
  private(set) var taken = 0

  private let generator: Generator
  private var drawn: [Double] = []

  init(seed: UInt64) throws { generator = try Generator(seed: seed) }

  /// The next number.
  func take() throws -> Double {
    let number = try upcoming(1, from: taken)[0]
    drawn.removeFirst()
    taken += 1
    return number
  }

  /// Numbers that are not taken by this, from the one before which `first` others are or will have been taken.
  func upcoming(_ count: Int, from first: Int) throws -> [Double] {
    let start = first - taken
    if drawn.count < start + count {
      let missing = max(64, start + count - drawn.count)
      drawn += try withTorch { try Tensor.uniform([missing], .float64, from: generator).elements(Double.self) }
    }
    return Array(drawn[start..<(start + count)])
  }
}
