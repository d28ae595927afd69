import WidebandCheckedInput
import WidebandTorch

/// The moments of a checkpoint, of one process or of the shards of several.
enum StoredMoments {
  /// Those of whole weights, by the names of `AdamW.moments`.
  case named([String: Tensor])
  /// The arrays of the shards of an array of `count` floats.
  case shards(of: Int, [(shard: Shard, arrays: [Tensor])])

  /// All of them, by names in messages.
  var tensors: [(key: String, value: Tensor)] {
    switch self {
    case .named(let tensors): tensors.map { ($0.key, $0.value) }
    case .shards(_, let shards):
      shards.enumerated().flatMap { rank, shard in
        zip(AdamW.kinds, shard.arrays).map { (key: "\($0) of rank \(rank)", value: $1) }
      }
    }
  }
}

extension AdamW {
  /// Takes the moments of a checkpoint, whatever the number of processes that wrote it.
  ///
  /// - Throws: `TorchError` if one is missing, unexpected, or of another shape; `InputError` for another number of them.
  func load(_ stored: StoredMoments) throws {
    switch stored {
    case .named(let tensors):
      let source = WeightStore(stored: tensors, mutable: false)
      for (name, weight) in weights {
        for (kind, array) in zip(Self.kinds, momentArrays) {
          let values = try source.root.tensor("\(kind).\(name)", weight.shape, .zeros)
          for piece in layout.pieces(of: name, in: shard) {
            try withTorch { array.slice(0, piece.ofShard).copy(from: values.flattened().slice(0, piece.ofWeight)) }
          }
        }
      }
      try source.requireNothingLeft()
    case .shards(let count, let shards):
      guard count == layout.count else {
        throw InputError("the moments of \(count) floats: expected \(layout.count), those of the trained weights")
      }
      for (other, arrays) in shards {
        for range in other.ranges {
          for piece in shard.pieces(in: range) {
            guard let source = other.pieces(in: piece.ofArray).first else { continue }
            for (array, values) in zip(momentArrays, arrays) {
              try withTorch { array.slice(0, piece.ofShard).copy(from: values.slice(0, source.ofShard)) }
            }
          }
        }
      }
    }
  }
}
