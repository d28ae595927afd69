import OrderedCollections
import WidebandCheckedInput
import WidebandTorch

/// Reads a safetensors header and checks every entry against the file.
///
/// The header is scanned in the mapped file without building a JSON tree; only the entries are stored. If a name or a
/// key occurs several times, the last one counts.
struct SafetensorsHeaderParser {
  /// The file's path, for messages.
  let path: String
  /// The bytes of data that follow the header.
  let dataCount: Int

  /// The maximum number of axes, that of PyTorch's operators.
  private static let maximumRank = 64
  /// Beyond the size of any file, and small enough that reading digits cannot overflow.
  private static let maximumNumber = 1 << 59
  private static let numbers = "expected integers from 0 to \(maximumNumber)"

  /// The header's metadata, and all tensors in the order of their data.
  ///
  /// - Throws: `CheckpointError` with the path and the first thing that is wrong.
  func parse(_ bytes: UnsafeRawBufferPointer) throws -> ([String: String], [SafetensorsHeader.Entry]) {
    do {
      return try bytes.withMemoryRebound(to: UInt8.self) {
        var scanner = JSONScanner($0, file: "\(printable(path: path)): header")
        return try document(&scanner)
      }
    } catch let error as InputError { throw CheckpointError.malformed(path: path, sentence: error.description) }
  }

  private func document(_ scanner: inout JSONScanner) throws -> ([String: String], [SafetensorsHeader.Entry]) {
    var metadata: [String: String] = [:]
    var entriesByName: OrderedDictionary<ExactString, SafetensorsHeader.Entry> = [:]
    try scanner.object("the header", in: path) { scanner, key in
      guard !key.elementsEqual("__metadata__".utf8) else {
        metadata = try self.metadata(&scanner)
        return
      }
      let entry = try entry(text(key), &scanner)
      entriesByName[ExactString(entry.name)] = entry
    }
    try scanner.end()
    let entries = entriesByName.values.sorted {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    try requireCover(entries)
    return (metadata, entries)
  }

  /// Reads the metadata; null means none, as for the format's other readers.
  private func metadata(_ scanner: inout JSONScanner) throws -> [String: String] {
    var metadata: [String: String] = [:]
    if !scanner.isAtObject() {
      let found = try scanner.summary()
      guard found == "null" else {
        throw CheckpointError.malformed(path, "__metadata__ is \(found): expected an object of strings, or null")
      }
      return metadata
    }
    try scanner.object { scanner, key in
      let key = try text(key)
      metadata[key] = try string(&scanner, "__metadata__ \(quoted(key))")
    }
    return metadata
  }

  private func entry(_ name: String, _ scanner: inout JSONScanner) throws -> SafetensorsHeader.Entry {
    let tensor = "tensor \(quoted(name))"
    var (spelling, shape, offsets): (String?, [Int]?, [Int]?)
    try scanner.object(tensor, in: path) { scanner, key in
      switch String(decoding: key, as: UTF8.self) {
      case "dtype": spelling = try string(&scanner, "\(tensor): dtype")
      case "shape": shape = try integers(&scanner, "\(tensor): shape", atMost: Self.maximumRank)
      case "data_offsets": offsets = try integers(&scanner, "\(tensor): data_offsets", atMost: 2)
      default: try scanner.skip()
      }
    }
    guard let spelling else { throw CheckpointError.malformed(path, "\(tensor) has no dtype") }
    guard let shape else { throw CheckpointError.malformed(path, "\(tensor) has no shape") }
    guard let offsets else { throw CheckpointError.malformed(path, "\(tensor) has no data_offsets") }
    guard let dtype = DType(safetensorsName: spelling) else {
      let known = DType.safetensorsOrder.map(\.safetensorsName).joined(separator: ", ")
      throw CheckpointError.malformed(path, "\(tensor) has dtype \(quoted(spelling)): expected one of \(known)")
    }
    let range = try range(offsets, of: tensor)
    guard let byteCount = Self.byteCount(shape, dtype) else {
      throw CheckpointError.malformed(path, "\(tensor) has shape \(shape), whose size overflows 64 bits")
    }
    guard byteCount == range.count else {
      let type = "\(spelling) of shape \(shape)"
      throw CheckpointError.malformed(
        path, "\(tensor): data_offsets \(offsets) span \(range.count) bytes, but \(type) takes \(byteCount)")
    }
    return SafetensorsHeader.Entry(name: name, dtype: dtype, shape: shape, range: range)
  }

  private func string(_ scanner: inout JSONScanner, _ what: String) throws -> String {
    let (bytes, isText) = try scanner.string(what, in: path)
    guard isText else {
      throw CheckpointError.malformed(path, "\(what) is a string with half of a surrogate pair: expected text")
    }
    return try text(bytes)
  }

  private func integers(_ scanner: inout JSONScanner, _ what: String, atMost limit: Int) throws -> [Int] {
    guard scanner.isAtArray() else {
      throw CheckpointError.malformed(path, "\(what) is \(try scanner.summary()): expected a list of integers from 0")
    }
    var values: [Int] = []
    try scanner.array { scanner in
      guard values.count < limit else {
        throw CheckpointError.malformed(path, "\(what) has more than \(limit) numbers: expected at most \(limit)")
      }
      guard let value = scanner.index(upTo: Self.maximumNumber) else {
        throw CheckpointError.malformed(path, "\(what)[\(values.count)] is \(try scanner.summary()): \(Self.numbers)")
      }
      values.append(value)
    }
    return values
  }

  /// Decodes a key or string, which the scanner does not validate as UTF-8.
  private func text(_ bytes: [UInt8]) throws -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CheckpointError.malformed(path, "header is not UTF-8")
    }
    return text
  }

  private func range(_ offsets: [Int], of tensor: String) throws -> Range<Int> {
    guard offsets.count == 2 else {
      throw CheckpointError.malformed(path, "\(tensor): data_offsets hold \(offsets.count) numbers: expected 2")
    }
    guard offsets[0] <= offsets[1] else {
      throw CheckpointError.malformed(path, "\(tensor): data_offsets \(offsets) begin after their end")
    }
    guard offsets[1] <= dataCount else {
      throw CheckpointError.malformed(
        path, "\(tensor): data_offsets \(offsets) end past the file's \(dataCount) bytes of data")
    }
    return offsets[0]..<offsets[1]
  }

  /// The size of a tensor in bytes; nil if the size, or a stride of a tensor with an axis of size 0, overflows 64 bits.
  private static func byteCount(_ shape: [Int], _ dtype: DType) -> Int? {
    let product = Int.product([dtype.size] + shape.filter { $0 != 0 })
    return shape.contains(0) ? product.map { _ in 0 } : product
  }

  private func requireCover(_ entries: [SafetensorsHeader.Entry]) throws {
    var covered = 0
    var last = ""
    for entry in entries {
      let start = entry.range.lowerBound
      guard start >= covered else {
        let place = "data byte \(start), inside tensor \(quoted(last)), which ends at \(covered)"
        throw CheckpointError.malformed(path, "tensor \(quoted(entry.name)) begins at \(place)")
      }
      guard start == covered else {
        throw CheckpointError.malformed(path, "data bytes \(covered) to \(start) belong to no tensor")
      }
      covered = entry.range.upperBound
      last = entry.name
    }
    guard covered == dataCount else {
      throw CheckpointError.malformed(path, "data bytes \(covered) to \(dataCount) belong to no tensor")
    }
  }
}
