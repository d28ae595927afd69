import Torch

/// Reads a safetensors header and holds every statement in it against the file.
struct SafetensorsHeaderParser {
  /// The file that messages name.
  let path: String
  /// The bytes of data that follow the header.
  let dataCount: Int

  /// What the header says: free text by key, and all tensors in the order of their data.
  ///
  /// - Throws: `CheckpointError` with the path and the first thing that is wrong.
  func parse(_ bytes: [UInt8]) throws -> ([String: String], [SafetensorsHeader.Entry]) {
    var scanner = try JSONScanner(bytes, path: path, document: "header")
    var metadata: [String: String] = [:]
    var entries: [SafetensorsHeader.Entry] = []
    try scanner.object("the header", noun: "tensor name") { scanner, name in
      if name == "__metadata__" {
        try scanner.object("__metadata__") { scanner, key in
          metadata[key] = try scanner.string("__metadata__ \(quoted(key))")
        }
      } else {
        entries.append(try entry(name, &scanner))
      }
    }
    try scanner.end()
    entries.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    try requireCover(entries)
    return (metadata, entries)
  }

  private func entry(_ name: String, _ scanner: inout JSONScanner) throws -> SafetensorsHeader.Entry {
    let tensor = "tensor \(quoted(name))"
    var (spelling, shape, offsets): (String?, [Int]?, [Int]?)
    try scanner.object(tensor) { scanner, key in
      switch key {
      case "dtype": spelling = try scanner.string("\(tensor): dtype")
      case "shape": shape = try scanner.naturals("\(tensor): shape")
      case "data_offsets": offsets = try scanner.naturals("\(tensor): data_offsets")
      default: try scanner.skip()
      }
    }
    guard let spelling else { throw CheckpointError(path, "\(tensor) has no dtype") }
    guard let shape else { throw CheckpointError(path, "\(tensor) has no shape") }
    guard let offsets else { throw CheckpointError(path, "\(tensor) has no data_offsets") }
    guard let dtype = DType(safetensorsName: spelling) else {
      let known = DType.safetensorsOrder.map(\.safetensorsName).joined(separator: ", ")
      throw CheckpointError(path, "\(tensor) has unknown dtype \(quoted(spelling)): expected one of \(known)")
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
    var product = dtype.size
    for size in shape where size != 0 {
      let (next, hasOverflowed) = product.multipliedReportingOverflow(by: size)
      if hasOverflowed { return nil }
      product = next
    }
    return shape.contains(0) ? 0 : product
  }

  private func requireCover(_ entries: [SafetensorsHeader.Entry]) throws {
    var covered = 0
    var last = ""
    for entry in entries {
      let start = entry.range.lowerBound
      guard start >= covered else {
        let place = "data byte \(start), inside tensor \(last), which ends at \(covered)"
        throw CheckpointError(path, "tensor \(quoted(entry.name)) begins at \(place)")
      }
      guard start == covered else {
        throw CheckpointError(path, "data bytes \(covered) to \(start) belong to no tensor")
      }
      covered = entry.range.upperBound
      last = quoted(entry.name)
    }
    guard covered == dataCount else {
      throw CheckpointError(path, "data bytes \(covered) to \(dataCount) belong to no tensor")
    }
  }
}
