import CheckedInput
import Torch

/// Reads a safetensors header and holds every statement in it against the file.
///
/// The header is read where the file is mapped and no tree is made of it: of a long one nothing is kept but its entries.
/// Of names and keys that occur several times the last one counts.
struct SafetensorsHeaderParser {
  /// The file that messages name.
  let path: String
  /// The bytes of data that follow the header.
  let dataCount: Int

  /// More sizes than the operators of any tensor library take.
  private static let maximumRank = 64
  /// Beyond any file, and small enough that reading digits cannot overflow.
  private static let maximumNumber = 1 << 59
  private static let numbers = "expected integers from 0 to \(maximumNumber)"

  /// What the header says: free text by key, and all tensors in the order of their data.
  ///
  /// - Throws: `CheckpointError` with the path and the first thing that is wrong.
  func parse(_ bytes: UnsafeRawBufferPointer) throws -> ([String: String], [SafetensorsHeader.Entry]) {
    do {
      return try bytes.withMemoryRebound(to: UInt8.self) {
        var scanner = JSONScanner($0, file: "\(printable(path: path)): header")
        return try document(&scanner)
      }
    } catch let error as InputError { throw CheckpointError(error) }
  }

  private func document(_ scanner: inout JSONScanner) throws -> ([String: String], [SafetensorsHeader.Entry]) {
    var metadata: [String: String] = [:]
    var entries: [SafetensorsHeader.Entry] = []
    var places: [ExactString: Int] = [:]
    try object(&scanner, "the header") { scanner, key in
      guard !key.elementsEqual("__metadata__".utf8) else {
        metadata = try self.metadata(&scanner)
        return
      }
      let entry = try entry(text(key), &scanner)
      if let place = places.updateValue(entries.count, forKey: ExactString(entry.name)) {
        places[ExactString(entry.name)] = place
        entries[place] = entry
      } else {
        entries.append(entry)
      }
    }
    try scanner.end()
    entries.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    try requireCover(entries)
    return (metadata, entries)
  }

  /// Free text by key; the format's other readers take null for none.
  private func metadata(_ scanner: inout JSONScanner) throws -> [String: String] {
    var metadata: [String: String] = [:]
    if !scanner.isAtObject() {
      let found = try scanner.summary()
      guard found == "null" else {
        throw CheckpointError(path, "__metadata__ is \(found): expected an object of strings, or null")
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
    try object(&scanner, tensor) { scanner, key in
      switch String(decoding: key, as: UTF8.self) {
      case "dtype": spelling = try string(&scanner, "\(tensor): dtype")
      case "shape": shape = try integers(&scanner, "\(tensor): shape", atMost: Self.maximumRank)
      case "data_offsets": offsets = try integers(&scanner, "\(tensor): data_offsets", atMost: 2)
      default: try scanner.skip()
      }
    }
    guard let spelling else { throw CheckpointError(path, "\(tensor) has no dtype") }
    guard let shape else { throw CheckpointError(path, "\(tensor) has no shape") }
    guard let offsets else { throw CheckpointError(path, "\(tensor) has no data_offsets") }
    guard let dtype = DType(safetensorsName: spelling) else {
      let known = DType.safetensorsOrder.map(\.safetensorsName).joined(separator: ", ")
      throw CheckpointError(path, "\(tensor) has dtype \(quoted(spelling)): expected one of \(known)")
    }
    let range = try range(offsets, of: tensor)
    guard let byteCount = Self.byteCount(shape, dtype) else {
      throw CheckpointError(path, "\(tensor) has shape \(shape), whose size overflows 64 bits")
    }
    guard byteCount == range.count else {
      let form = "\(spelling) of shape \(shape)"
      throw CheckpointError(
        path, "\(tensor): data_offsets \(offsets) span \(range.count) bytes, but \(form) takes \(byteCount)")
    }
    return SafetensorsHeader.Entry(name: name, dtype: dtype, shape: shape, range: range)
  }

  private func object(
    _ scanner: inout JSONScanner, _ what: String, _ member: (inout JSONScanner, [UInt8]) throws -> Void
  ) throws {
    guard scanner.isAtObject() else {
      throw CheckpointError(path, "\(what) is \(try scanner.summary()): expected an object")
    }
    try scanner.object(member)
  }

  private func string(_ scanner: inout JSONScanner, _ what: String) throws -> String {
    guard scanner.isAtString() else {
      throw CheckpointError(path, "\(what) is \(try scanner.summary()): expected a string")
    }
    var bytes: [UInt8] = []
    guard try scanner.string(into: &bytes) else {
      throw CheckpointError(path, "\(what) is a string with half of a surrogate pair: expected text")
    }
    return try text(bytes)
  }

  private func integers(_ scanner: inout JSONScanner, _ what: String, atMost limit: Int) throws -> [Int] {
    guard scanner.isAtArray() else {
      throw CheckpointError(path, "\(what) is \(try scanner.summary()): expected a list of integers from 0")
    }
    var values: [Int] = []
    try scanner.array { scanner in
      guard values.count < limit else {
        throw CheckpointError(path, "\(what) has more than \(limit) numbers: expected at most \(limit)")
      }
      guard let value = scanner.index(upTo: Self.maximumNumber) else {
        throw CheckpointError(path, "\(what)[\(values.count)] is \(try scanner.summary()): \(Self.numbers)")
      }
      values.append(value)
    }
    return values
  }

  /// The scanner takes bytes as they are; names are text.
  private func text(_ bytes: [UInt8]) throws -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CheckpointError(path, "header is not UTF-8")
    }
    return text
  }

  private func range(_ offsets: [Int], of tensor: String) throws -> Range<Int> {
    guard offsets.count == 2 else {
      throw CheckpointError(path, "\(tensor): data_offsets hold \(offsets.count) numbers, expected 2")
    }
    guard offsets[0] <= offsets[1] else {
      throw CheckpointError(path, "\(tensor): data_offsets \(offsets) begin after their end")
    }
    guard offsets[1] <= dataCount else {
      throw CheckpointError(path, "\(tensor): data_offsets \(offsets) end past the file's \(dataCount) bytes of data")
    }
    return offsets[0]..<offsets[1]
  }

  /// The bytes that a tensor takes; nil if its size, or with zeros left out a stride, does not fit 64 bits.
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
        throw CheckpointError(path, "tensor \(quoted(entry.name)) begins at \(place)")
      }
      guard start == covered else {
        throw CheckpointError(path, "data bytes \(covered) to \(start) belong to no tensor")
      }
      covered = entry.range.upperBound
      last = entry.name
    }
    guard covered == dataCount else {
      throw CheckpointError(path, "data bytes \(covered) to \(dataCount) belong to no tensor")
    }
  }
}
