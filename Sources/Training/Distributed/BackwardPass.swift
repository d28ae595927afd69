import WidebandDistributed
import WidebandTorch

/// A weight whose gradients are exchanged.
struct ExchangedWeight {
  let name: String
  let tensor: Tensor
  /// Its range in the array of all weights.
  let place: Range<Int>
}

/// How far a backward pass is: which gradients are there, and which buckets are being exchanged.
///
/// Buckets are sent from the last to the first, about the order in which a backward pass completes them: collective
/// operations must have the same order in all processes.
struct BackwardPass {
  /// Whether the gradient of each weight is there.
  private(set) var isThere: [Bool]
  /// The exchange of each bucket that has been started.
  var exchanges: [PendingExchange?]
  /// The first error.
  var failure: (any Error)?

  /// The number of weights in each bucket whose gradients are not there.
  private var missing: [Int]
  /// The buckets of each weight.
  private let buckets: [Range<Int>]
  /// The number of buckets that are not complete, or wait for one after them.
  private var left: Int

  init(_ layout: ShardLayout, _ weights: [ExchangedWeight]) {
    isThere = weights.map { _ in false }
    exchanges = layout.buckets.map { _ in nil }
    left = layout.buckets.count
    let size = layout.buckets.first?.count ?? 1
    buckets = weights.map { weight in
      weight.place.isEmpty ? 0..<0 : (weight.place.lowerBound / size)..<((weight.place.upperBound - 1) / size + 1)
    }
    var missing = layout.buckets.map { _ in 0 }
    for index in buckets.joined() { missing[index] += 1 }
    self.missing = missing
  }

  /// Counts the gradient of a weight as there.
  mutating func count(_ weight: Int) {
    isThere[weight] = true
    for bucket in buckets[weight] { missing[bucket] -= 1 }
  }

  /// The next bucket to send, if it is complete; it then counts as sent.
  mutating func nextComplete() -> Int? {
    guard left > 0, missing[left - 1] == 0 else { return nil }
    left -= 1
    return left
  }
}
