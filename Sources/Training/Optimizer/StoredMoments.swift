import WidebandTorch

/// The moments of a checkpoint, of one process or of the shards of several.
enum StoredMoments {
  /// Those of whole weights, by the names of `AdamW.moments`.
  case named([String: Tensor])
  /// The arrays of shards, each with its range of the array of all weights.
  case shards([(range: Range<Int>, arrays: [Tensor])])

  /// All of them, by names in messages.
  var tensors: [(key: String, value: Tensor)] {
    switch self {
    case .named(let tensors): tensors.map { ($0.key, $0.value) }
    case .shards(let shards):
      shards.enumerated().flatMap { rank, shard in
        zip(AdamW.kinds, shard.arrays).map { (key: "\($0) of rank \(rank)", value: $1) }
      }
    }
  }
}

extension AdamW {
  /// Takes the moments of a checkpoint, whatever the number of processes that wrote it.
  ///
  /// - Throws: `TorchError` if one is missing, unexpected, or of another shape.
  func load(_ stored: StoredMoments) throws {
    switch stored {
    case .named(let tensors):
      let source = WeightStore(stored: tensors, mutable: false)
      for (name, weight) in weights {
        for (kind, array) in zip(Self.kinds, momentArrays) {
          let values = try source.root.tensor("\(kind).\(name)", weight.shape, .zeros)
          guard let piece = layout.piece(of: name, in: shard) else { continue }
          try withTorch { array.slice(0, piece.ofRange).copy(from: values.flattened().slice(0, piece.ofWeight)) }
        }
      }
      try source.requireNothingLeft()
    case .shards(let shards):
      for (range, arrays) in shards {
        let part = range.clamped(to: shard)
        guard !part.isEmpty else { continue }
        func within(_ range: Range<Int>) -> Range<Int> {
          (part.lowerBound - range.lowerBound)..<(part.upperBound - range.lowerBound)
        }
        for (array, values) in zip(momentArrays, arrays) {
          try withTorch { array.slice(0, within(shard)).copy(from: values.slice(0, within(range))) }
        }
      }
    }
  }
}
