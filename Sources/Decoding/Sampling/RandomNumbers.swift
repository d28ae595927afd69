import WidebandTorch

/// A sequence of random numbers in [0, 1), one for each sampled token. They can be read before they are taken: a GPU gets
/// those of its next steps in advance.
final class RandomNumbers {
  /// How many were taken.
  private(set) var taken = 0

  private let generator: Generator
  private var buffer: [Double] = []

  init(seed: UInt64) throws { generator = try Generator(seed: seed) }

  /// Takes the next number.
  func take() throws -> Double {
    let number = try upcoming(1, from: taken)[0]
    buffer.removeFirst()
    taken += 1
    return number
  }

  /// The numbers from index `first` of the sequence on, without taking them; those before `taken` are gone.
  func upcoming(_ count: Int, from first: Int) throws -> [Double] {
    let start = first - taken
    if buffer.count < start + count {
      let missing = max(64, start + count - buffer.count)
      buffer += try withTorch { try Tensor.uniform([missing], .float64, from: generator).elements(Double.self) }
    }
    return Array(buffer[start..<(start + count)])
  }
}
