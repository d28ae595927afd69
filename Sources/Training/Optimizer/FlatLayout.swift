import OrderedCollections
import WidebandTorch

/// The places of weights in one array: each begins at a cache line, in the order of the model's weights.
struct FlatLayout: Sendable {
  /// The number of floats of a cache line.
  private static let alignment = 16

  /// The range of each weight.
  let places: OrderedDictionary<String, Range<Int>>
  /// The number of floats of the array.
  let count: Int

  init(_ weights: OrderedDictionary<String, Tensor>) {
    var places: OrderedDictionary<String, Range<Int>> = [:]
    var end = 0
    for (name, weight) in weights {
      places[name] = end..<(end + weight.count)
      end += (weight.count + Self.alignment - 1) / Self.alignment * Self.alignment
    }
    (self.places, count) = (places, end)
  }

  /// A part of a weight, and where it is in a range of the array.
  struct Piece {
    /// The part of the weight.
    let ofWeight: Range<Int>
    /// The part of the range.
    let ofRange: Range<Int>
  }

  /// The part of a weight within a range of the array; nil for none.
  func piece(of name: String, in range: Range<Int>) -> Piece? {
    guard let place = places[name] else { return nil }
    let part = place.clamped(to: range)
    guard !part.isEmpty else { return nil }
    return Piece(
      ofWeight: (part.lowerBound - place.lowerBound)..<(part.upperBound - place.lowerBound),
      ofRange: (part.lowerBound - range.lowerBound)..<(part.upperBound - range.lowerBound))
  }
}
