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

  /// A part of a weight, and where it is in a shard of the array.
  struct Piece {
    /// The part of the weight.
    let ofWeight: Range<Int>
    /// The part of the shard.
    let ofShard: Range<Int>
  }

  /// The parts of a weight that a shard has. Together they are one range of the shard.
  func pieces(of name: String, in shard: Shard) -> [Piece] {
    guard let place = places[name] else { return [] }
    return shard.pieces(in: place).map {
      Piece(ofWeight: $0.ofArray.moved(by: -place.lowerBound), ofShard: $0.ofShard)
    }
  }
}
