import CUDAEmulation
import Foundation
import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// The GPU's attention over a cache, run on the processor thread by thread, against float64.
@Suite struct CUDACachedAttentionTests {
  static let programs = 0..<cuda_emulation_attention_count()

  @Test(arguments: programs) func attentionIsThatOfFloat64(program: Int32) throws {
    // Texts of one new position and of several, alone and together; stretches of one position and of none.
    let cases: [(sequences: [(start: Int, rows: Int)], heads: Int, keyHeads: Int, splits: Int32)] = [
      ([(0, 1)], 4, 2, 1), ([(36, 1)], 10, 2, 7), ([(36, 1)], 3, 1, 32), ([(5, 3), (0, 2)], 3, 1, 5),
      ([(70, 16)], 4, 2, 2), ([(9, 1), (33, 1), (1, 1)], 4, 2, 5),
    ]
    for (positions, heads, keyHeads, splits) in cases {
      let subject = try EmulatedAttention(program, heads: heads, keyHeads: keyHeads, sequences: positions)
      let (error, stored) = try subject.errors(splits: splits, isStartOnDevice: splits == 5)
      let name = "\(positions) \(heads) heads over \(keyHeads) in \(splits)"
      #expect(error <= subject.bound, "\(name): \(error)")
      #expect(stored <= subject.storedBound, "\(name): stored \(stored)")
    }
  }
}

/// New positions of sequences whose caches hold random keys and values.
private final class EmulatedAttention {
  private let program: Int32
  private let kind: cuda_emulation_attention_kind
  private let heads, keyHeads, size: Int
  private let sequences: [(start: Int, rows: Int)]
  private var caches: [Cache] = []
  private let projected, cosine, sine, queryNorm, keyNorm: Memory

  static let capacity = 90
  static let epsilon: Float = 0.02

  /// One sequence's keys and values, and their scales where they are int8.
  private struct Cache {
    let keys, values: AlignedBytes
    let scales: (keys: Memory, values: Memory)
  }

  init(_ program: Int32, heads: Int, keyHeads: Int, sequences: [(start: Int, rows: Int)]) throws {
    kind = cuda_emulation_attention_describe(program)
    (self.program, self.heads, self.keyHeads, self.sequences) = (program, heads, keyHeads, sequences)
    size = Int(kind.head_size)
    let rows = sequences.reduce(0) { $0 + $1.rows }
    let random = try RandomTensors(seed: 11)
    projected = try Memory(random.normal(rows * (heads + 2 * keyHeads) * size))
    (cosine, sine) = try (Memory(random.normal(rows * size)), Memory(random.normal(rows * size)))
    queryNorm = try Memory(random.normal(size, around: 1.5, deviation: 0.3))
    keyNorm = try Memory(random.normal(size, around: 1, deviation: 0.3))
    caches = try sequences.map { try cache($0.start, random) }
  }

  /// Attention is rounded to bfloat16 where the elements are.
  var bound: Double { kind.element_bytes == 2 ? 3e-3 : 3e-6 }
  /// Of a new key or value that was rounded to the cache's format.
  var storedBound: Double { kind.format == CK_FLOAT32 ? 2e-6 : kind.format == CK_BFLOAT16 ? 3e-3 : 1.5e-2 }

  /// The errors of attention's results, and of the stored keys and values.
  func errors(splits: Int32, isStartOnDevice: Bool) throws -> (output: Double, stored: Double) {
    let rows = sequences.reduce(0) { $0 + $1.rows }
    let output = Elements(Memory(repeating: .nan, count: rows * heads * size), bytes: Int(kind.element_bytes))
    var layer = ck_attention_layer()
    (layer.heads, layer.key_value_heads, layer.head_size) = (Int64(heads), Int64(keyHeads), Int64(size))
    (layer.query_norm, layer.key_norm) = (UnsafePointer(queryNorm.pointer), UnsafePointer(keyNorm.pointer))
    layer.epsilon = Self.epsilon
    // Started from the GPU's memory, all but two positions of each start are told there.
    let starts = sequences.map { Int64(isStartOnDevice ? Swift.max($0.start - 2, 0) : 0) }
    let memories = zip(zip(sequences, caches), starts).map { item, start in
      ck_kv_view(
        format: kind.format, capacity: Int64(Self.capacity), start: Int64(item.0.start) - start,
        rows: Int64(item.0.rows),
        keys: item.1.keys.pointer, values: item.1.values.pointer,
        key_scales: kind.format == CK_INT8 ? item.1.scales.keys.pointer : nil,
        value_scales: kind.format == CK_INT8 ? item.1.scales.values.pointer : nil)
    }
    #expect(
      cuda_emulation_attention(
        program, &layer, memories, Int32(sequences.count), isStartOnDevice ? starts : nil, projected.pointer,
        cosine.pointer, sine.pointer, splits, output.memory))
    var (expected, stored, found): ([Double], [Double], [Float]) = ([], [], [])
    var row = 0
    for (sequence, cache) in zip(sequences, caches) {
      let (outputs, new) = exact(sequence, cache, firstRow: row)
      expected += outputs
      stored += new
      found += written(sequence, cache)
      row += sequence.rows
    }
    return (
      distance(output.floats, expected, relativeTo: norm(expected)), distance(found, stored, relativeTo: norm(stored))
    )
  }

  private func cache(_ start: Int, _ random: RandomTensors) throws -> Cache {
    let count = keyHeads * Self.capacity
    let bytes = kind.format == CK_FLOAT32 ? 4 : kind.format == CK_BFLOAT16 ? 2 : 1
    let cache = Cache(
      keys: AlignedBytes(count * size * bytes), values: AlignedBytes(count * size * bytes),
      scales: (Memory(repeating: .nan, count: count), Memory(repeating: .nan, count: count)))
    func fill(_ memory: AlignedBytes, _ scales: Memory) throws {
      let numbers = try random.normal(keyHeads * start * size).elements(Float.self)
      for (index, number) in numbers.enumerated() {
        let place = index / size / Swift.max(start, 1) * Self.capacity + index / size % Swift.max(start, 1)
        scales.pointer[place] = 0.03
        let at = place * size + index % size
        switch bytes {
        case 4: memory.pointer.storeBytes(of: number, toByteOffset: 4 * at, as: Float.self)
        case 2:
          memory.pointer.storeBytes(of: UInt16(number.bitPattern >> 16), toByteOffset: 2 * at, as: UInt16.self)
        default: memory.pointer.storeBytes(of: Int8(number * 25), toByteOffset: at, as: Int8.self)
        }
      }
    }
    try fill(cache.keys, cache.scales.keys)
    try fill(cache.values, cache.scales.values)
    return cache
  }

  /// A stored channel.
  private func stored(_ cache: Cache, isKey: Bool, _ head: Int, _ position: Int, _ channel: Int) -> Float {
    let row = head * Self.capacity + position
    let memory = (isKey ? cache.keys : cache.values).pointer
    switch kind.format {
    case CK_FLOAT32: return memory.load(fromByteOffset: 4 * (row * size + channel), as: Float.self)
    case CK_BFLOAT16:
      let bits = memory.load(fromByteOffset: 2 * (row * size + channel), as: UInt16.self)
      return Float(bitPattern: UInt32(bits) << 16)
    default:
      let number = memory.load(fromByteOffset: row * size + channel, as: Int8.self)
      return Float(number) * (isKey ? cache.scales.keys : cache.scales.values).pointer[row]
    }
  }

  /// The new keys and values of a sequence as the kernel has stored them.
  private func written(_ sequence: (start: Int, rows: Int), _ cache: Cache) -> [Float] {
    (0..<sequence.rows).flatMap { row in
      [true, false].flatMap { isKey in
        (0..<keyHeads).flatMap { head in
          (0..<size).map { stored(cache, isKey: isKey, head, sequence.start + row, $0) }
        }
      }
    }
  }

  private func head(_ row: Int, _ place: Int) -> [Double] {
    let first = (row * (heads + 2 * keyHeads) + place) * size
    return (0..<size).map { Double(projected.pointer[first + $0]) }
  }

  private func rotated(_ x: [Double], _ gain: Memory, row: Int) -> [Double] {
    let scale = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(size) + Double(Self.epsilon)).squareRoot()
    let v = (0..<size).map { x[$0] * scale * Double(gain.pointer[$0]) }
    return (0..<size).map { c in
      let (cos, sin) = (Double(cosine.pointer[row * size + c]), Double(sine.pointer[row * size + c]))
      return c < size / 2 ? v[c] * cos - v[c + size / 2] * sin : v[c] * cos + v[c - size / 2] * sin
    }
  }

  /// The expected output of attention, and the keys and values of the new positions.
  private func exact(
    _ sequence: (start: Int, rows: Int), _ cache: Cache, firstRow: Int
  ) -> (outputs: [Double], new: [Double]) {
    let newKeys = (0..<sequence.rows).map { row in
      (0..<keyHeads).map { rotated(head(firstRow + row, heads + $0), keyNorm, row: firstRow + row) }
    }
    let newValues = (0..<sequence.rows).map { row in (0..<keyHeads).map { head(firstRow + row, heads + keyHeads + $0) }
    }
    // A new key is read as it is stored.
    func all(isKey: Bool) -> [[[Double]]] {
      (0..<keyHeads).map { own in
        (0..<(sequence.start + sequence.rows)).map { position in
          (0..<size).map { Double(stored(cache, isKey: isKey, own, position, $0)) }
        }
      }
    }
    let (keys, values) = (all(isKey: true), all(isKey: false))
    var outputs: [Double] = []
    for row in 0..<sequence.rows {
      for each in 0..<heads {
        let own = each * keyHeads / heads
        let query = rotated(head(firstRow + row, each), queryNorm, row: firstRow + row)
        let scores = (0...(sequence.start + row)).map { position in
          zip(query, keys[own][position]).reduce(0) { $0 + $1.0 * $1.1 }
            / Double(size).squareRoot()
        }
        let most = scores.max() ?? 0
        let shares = scores.map { exp($0 - most) }
        let total = shares.reduce(0, +)
        var sums = [Double](repeating: 0, count: size)
        for (position, share) in shares.enumerated() {
          for (c, value) in values[own][position].enumerated() {
            sums[c] += share / total * value
          }
        }
        outputs += sums
      }
    }
    let new = (0..<sequence.rows).flatMap { newKeys[$0].flatMap(\.self) + newValues[$0].flatMap(\.self) }
    return (outputs, new)
  }
}
