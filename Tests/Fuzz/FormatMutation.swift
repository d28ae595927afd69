import Synchronization
import WidebandCheckedInput

/// A cache of parsed seeds.
enum JSONCache {
  private static let documents = Mutex<[[UInt8]: JSONValue]>([:])

  static func document(_ bytes: [UInt8]) -> JSONValue? {
    documents.withLock { documents in
      if let known = documents[bytes] { return known }
      let document = try? JSONValue(parsing: bytes, file: "seed")
      if documents.count < 256 { documents[bytes] = document }
      return document
    }
  }
}

/// Mutations of a safetensors file: its header as JSON, the header's length, the data.
enum SafetensorsMutation {
  static func mutated(_ bytes: [UInt8], _ random: inout Randomness) -> [UInt8] {
    let length = bytes.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
    guard bytes.count >= 8, length > 0, length <= bytes.count - 8, !random.once(in: 10),
      let header = JSONCache.document(Array(bytes[8..<(8 + length)]))
    else {
      var bytes = bytes
      ByteMutation.apply(&bytes, &random)
      return bytes
    }
    let text = JSONMutation.mutated(header, &random)
    var count = UInt64(text.count)
    if random.once(in: 10) { count = random.pick(ByteMutation.integers) }
    let size = (0..<8).map { UInt8(truncatingIfNeeded: count >> UInt64(8 * $0)) }
    return size + text + bytes[(8 + length)...]
  }
}

/// Mutations of a file with one JSON document per line.
enum LineMutation {
  static func mutated(_ bytes: [UInt8], _ random: inout Randomness) -> [UInt8] {
    var lines = bytes.split(separator: UInt8(ascii: "\n")).map(Array.init)
    guard !lines.isEmpty else { return bytes }
    let index = random.below(lines.count)
    switch random.below(8) {
    case 0: lines.remove(at: index)
    case 1: lines.insert([], at: index)
    case 2: ByteMutation.apply(&lines[index], &random)
    default:
      if let document = JSONCache.document(lines[index]) { lines[index] = JSONMutation.mutated(document, &random) }
    }
    return Array(lines.joined(separator: [UInt8(ascii: "\n")])) + (random.once(in: 5) ? [] : [UInt8(ascii: "\n")])
  }
}
