import Foundation
import TestSupport
import Testing
import WidebandTorch

@testable import WidebandCheckpoint

/// An invalid file, and the expected message after its path.
struct InvalidFile: CustomTestStringConvertible, Sendable {
  let file: Data
  let message: String
  var testDescription: String { String(message.prefix(100)) }

  init(_ file: Data, _ message: String) {
    self.file = file
    self.message = message
  }

  /// A file with the given header and `dataCount` bytes of data.
  init(_ header: String, _ dataCount: Int, _ message: String) {
    self.init(safetensorsFile(header, dataCount: dataCount), message)
  }

  /// A file with one tensor "a" with the given header entry.
  static func tensor(_ entry: String, _ dataCount: Int, _ message: String) -> InvalidFile {
    InvalidFile(#"{"a":\#(entry)}"#, dataCount, message)
  }

  /// A file with one tensor "a" of dtype F32.
  static func float(_ shape: String, _ offsets: String, _ dataCount: Int, _ message: String) -> InvalidFile {
    tensor(#"{"dtype":"F32","shape":\#(shape),"data_offsets":\#(offsets)}"#, dataCount, message)
  }

  /// A file with tensors "a", "b", … of dtype U8 at the given ranges.
  static func places(
    _ ranges: [Range<Int>], _ dataCount: Int, _ message: String, names: [String] = ["a", "b", "c"]
  ) -> InvalidFile {
    let entries = zip(names, ranges).map { name, range in
      #""\#(name)":{"dtype":"U8","shape":[\#(range.count)],"data_offsets":[\#(range.lowerBound),\#(range.upperBound)]}"#
    }
    return InvalidFile("{\(entries.joined(separator: ","))}", dataCount, message)
  }
}

@Suite struct SafetensorsBadInputTests {
  static let integers = "expected integers from 0 to 576460752303423488"

  /// The message for a header that is not JSON, with the column in its only line.
  static func malformed(_ column: Int, _ problem: String) -> String {
    "header: line 1, column \(column): malformed JSON: \(problem)"
  }

  static let lengths = [
    InvalidFile(Data(), "0 bytes are too few for a safetensors file: expected at least 8"),
    InvalidFile(Data(count: 7), "7 bytes are too few for a safetensors file: expected at least 8"),
    InvalidFile(
      safetensorsFile("{}", length: UInt64(Int64.max)), "header length 9223372036854775807 exceeds the file's 10 bytes"),
    InvalidFile(safetensorsFile("{}", length: .max), "header length 18446744073709551615 exceeds the file's 10 bytes"),
    InvalidFile(safetensorsFile("{}", length: 3), "header length 3 exceeds the file's 10 bytes"),
    InvalidFile(safetensorsFile("", length: 0), malformed(1, "expected a value")),
  ]

  static let documents = [
    InvalidFile(
      safetensorsFile("{\"a\":0}", length: 7).dropLast(5) + Data([0xff]) + Data("\":0}".utf8), "header is not UTF-8"),
    InvalidFile("[]", 0, "the header is a list: expected an object"),
    InvalidFile("1e999", 0, "the header is 1e999: expected an object"),
    InvalidFile("{} x", 0, malformed(4, "text after the end of the document")),
    InvalidFile(#"{"a""#, 0, malformed(5, "expected ':'")),
    InvalidFile(#"{"a"#, 0, malformed(4, "a string without an end")),
    InvalidFile(#"{"a\"#, 0, malformed(5, "a string without an end")),
    InvalidFile(#"{"a\q":1}"#, 0, malformed(5, "an unknown escape in a string")),
    InvalidFile(#"{"a\ud800":1}"#, 0, "header is not UTF-8"),
    InvalidFile("{\"a\u{1}\":1}", 0, malformed(4, "a control character in a string")),
    InvalidFile("{,}", 0, malformed(2, "expected a string")),
    InvalidFile("{1:2}", 0, malformed(2, "expected a string")),
    InvalidFile(#"{"__metadata__":{}"#, 0, malformed(19, "expected ',' or '}'")),
    InvalidFile(#"{"__metadata__":{"format":1}}"#, 0, "__metadata__ 'format' is 1: expected a string"),
    InvalidFile(#"{"__metadata__":"null"}"#, 0, "__metadata__ is 'null': expected an object of strings, or null"),
    InvalidFile(#"{"__metadata__":[null]}"#, 0, "__metadata__ is a list: expected an object of strings, or null"),
    InvalidFile.tensor("4", 0, "tensor 'a' is 4: expected an object"),
    InvalidFile.tensor("null", 0, "tensor 'a' is null: expected an object"),
    InvalidFile.tensor(#"{"more":[[1, {"x": nul}]]}"#, 0, malformed(25, "expected a value")),
    InvalidFile.tensor(
      #"{"more":"# + String(repeating: "[", count: 100_000), 0, malformed(142, "more than 128 levels")),
  ]

  static let entries = [
    InvalidFile.tensor(#"{"shape":[1],"data_offsets":[0,4]}"#, 4, "tensor 'a' has no dtype"),
    InvalidFile.tensor(#"{"dtype":"F32","data_offsets":[0,4]}"#, 4, "tensor 'a' has no shape"),
    InvalidFile.tensor(#"{"dtype":"F32","shape":[1]}"#, 4, "tensor 'a' has no data_offsets"),
    InvalidFile.tensor(#"{"dtype":6}"#, 4, "tensor 'a': dtype is 6: expected a string"),
    InvalidFile.tensor(
      #"{"dtype":"F31","shape":[1],"data_offsets":[0,4]}"#, 4,
      "tensor 'a' has dtype 'F31': expected one of I64, F64, F32, I32, BF16, F16, I16, I8, U8, BOOL"),
    InvalidFile.float("[-1]", "[0,4]", 4, "tensor 'a': shape[0] is -1: \(integers)"),
    InvalidFile.float("[1.0]", "[0,4]", 4, "tensor 'a': shape[0] is 1.0: \(integers)"),
    InvalidFile.float("[1,1e0]", "[0,4]", 4, "tensor 'a': shape[1] is 1e0: \(integers)"),
    InvalidFile.float("[01]", "[0,4]", 4, malformed(32, "a number that begins with 0")),
    InvalidFile.float("[true]", "[0,4]", 4, "tensor 'a': shape[0] is true: \(integers)"),
    InvalidFile.float("[\"1\"]", "[0,4]", 4, "tensor 'a': shape[0] is '1': \(integers)"),
    InvalidFile.float("null", "[0,4]", 4, "tensor 'a': shape is null: expected a list of integers from 0"),
    InvalidFile.float("[9223372036854775808]", "[0,4]", 4, "tensor 'a': shape[0] is 9223372036854775808: \(integers)"),
    InvalidFile.float(
      "[\(Array(repeating: "1", count: 65).joined(separator: ","))]", "[0,4]", 4,
      "tensor 'a': shape has more than 64 numbers: expected at most 64"),
    InvalidFile.float(
      "[576460752303423488, 16]", "[0,0]", 0,
      "tensor 'a' has shape [576460752303423488, 16], whose size overflows 64 bits"),
    InvalidFile.float(
      "[0, 576460752303423488, 16]", "[0,0]", 0,
      "tensor 'a' has shape [0, 576460752303423488, 16], whose size overflows 64 bits"),
    InvalidFile.float("[1]", "[0]", 4, "tensor 'a': data_offsets hold 1 numbers: expected 2"),
    InvalidFile.float("[1]", "[0,4,8]", 4, "tensor 'a': data_offsets has more than 2 numbers: expected at most 2"),
    InvalidFile.float("[1]", "[-4,0]", 4, "tensor 'a': data_offsets[0] is -4: \(integers)"),
    InvalidFile.float("[1]", "[8,4]", 8, "tensor 'a': data_offsets [8, 4] begin after their end"),
    InvalidFile.float("[1]", "[0,8]", 4, "tensor 'a': data_offsets [0, 8] end past the file's 4 bytes of data"),
    InvalidFile.float("[3]", "[0,8]", 8, "tensor 'a': data_offsets [0, 8] span 8 bytes, but F32 of shape [3] takes 12"),
    InvalidFile.float("[]", "[0,8]", 8, "tensor 'a': data_offsets [0, 8] span 8 bytes, but F32 of shape [] takes 4"),
  ]

  static let layouts = [
    // The last of equal names counts, so the bytes of the first belong to no tensor.
    InvalidFile.places([0..<4, 4..<8], 8, "data bytes 0 to 4 belong to no tensor", names: ["a", "a"]),
    InvalidFile.places([0..<8, 4..<12], 12, "tensor 'b' begins at data byte 4, inside tensor 'a', which ends at 8"),
    InvalidFile.places([4..<12, 0..<8], 12, "tensor 'a' begins at data byte 4, inside tensor 'b', which ends at 8"),
    InvalidFile.places([0..<8, 0..<8], 8, "tensor 'b' begins at data byte 0, inside tensor 'a', which ends at 8"),
    InvalidFile.places([0..<8, 4..<4], 8, "tensor 'b' begins at data byte 4, inside tensor 'a', which ends at 8"),
    InvalidFile.places([0..<4, 6..<8], 8, "data bytes 4 to 6 belong to no tensor"),
    InvalidFile.places([2..<8], 8, "data bytes 0 to 2 belong to no tensor"),
    InvalidFile.places([0..<4], 8, "data bytes 4 to 8 belong to no tensor"),
    InvalidFile("{}", 3, "data bytes 0 to 3 belong to no tensor"),
  ]

  @Test(
    "metadata may be missing, empty or null",
    arguments: ["", #""__metadata__":{},"#, #""__metadata__":null,"#])
  func metadata_none(member: String) throws {
    let folder = try TemporaryFolder()
    let url = folder.url("model.safetensors")
    try safetensorsFile(#"{\#(member)"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, dataCount: 1).write(
      to: url)
    let file = try SafetensorsFile(url)
    #expect(file.metadata == [:])
    #expect(file.names == ["a"])
  }

  @Test("the last of equal keys counts")
  func duplicateKeys_lastCounts() throws {
    let folder = try TemporaryFolder()
    let url = folder.url("model.safetensors")
    let first = #""a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}"#
    let last = #""\u0061":{"dtype":"I8","dtype":"U8","shape":[7],"shape":[36],"data_offsets":[0,36]}"#
    try safetensorsFile(#"{"__metadata__":{"k":"1","k":"2"},\#(first),\#(last)}"#, dataCount: 36).write(to: url)
    let file = try SafetensorsFile(url)
    #expect(file.metadata == ["k": "2"])
    #expect(file.names == ["a"])
    #expect(try file.tensor("a").dtype == .uint8)
    #expect(try file.tensor("a").shape == [36])
  }

  @Test("canonically equivalent names are two tensors, and an error in a dictionary of strings")
  func names_canonicallyEquivalent() throws {
    let folder = try TemporaryFolder()
    let url = folder.url("model.safetensors")
    let entries = ["\u{E9}", "e\u{301}"].enumerated().map { place, name in
      #""\#(name)":{"dtype":"U8","shape":[1],"data_offsets":[\#(place),\#(place + 1)]}"#
    }
    try (safetensorsFile("{\(entries.joined(separator: ","))}") + Data([7, 8])).write(to: url)
    let file = try SafetensorsFile(url)
    #expect(try file.tensor("\u{E9}").elements(UInt8.self) == [7])
    #expect(try file.tensor("e\u{301}").elements(UInt8.self) == [8])
    #expect(
      message { _ = try file.tensors() }
        == "\(url.path): two tensors are called 'e\u{301}', in letters that are composed differently")
  }

  @Test(arguments: lengths + documents + entries + layouts)
  func invalidFile_isOneSentence(_ invalid: InvalidFile) throws {
    let folder = try TemporaryFolder()
    let url = folder.url("model.safetensors")
    try invalid.file.write(to: url)
    #expect(message { _ = try SafetensorsFile(url) } == "\(url.path): \(invalid.message)")
  }

  @Test func header_beyondLimit_isRefused() throws {
    let folder = try TemporaryFolder()
    let url = folder.url("model.safetensors")
    try withUnsafeBytes(of: UInt64(100_000_001).littleEndian) { Data($0) }.write(to: url)
    // A sparse file.
    #expect(truncate(url.path, 200_000_000) == 0)
    let expected = "header length 100000001 exceeds the format's limit of 100000000 bytes"
    #expect(message { _ = try SafetensorsFile(url) } == "\(url.path): \(expected)")
  }

  @Test func boolean_otherByte_isRefused() throws {
    let folder = try TemporaryFolder()
    let url = folder.url("model.safetensors")
    let header = #"{"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}"#
    try (safetensorsFile(header) + Data([0, 1, 2])).write(to: url)
    let expected = "\(url.path): tensor 'mask': element 2 is 2: expected a BOOL of 0 or 1"
    #expect(message { _ = try SafetensorsFile(url).tensors() } == expected)
  }

  @Test func open_notAFile_isNamed() throws {
    let folder = try TemporaryFolder()
    let missing = folder.url("missing.safetensors")
    #expect(
      message { _ = try SafetensorsFile(missing) } == "\(missing.path): cannot be opened: No such file or directory")
    #expect(message { _ = try SafetensorsFile(folder.url) } == "\(folder.path): is a folder: expected a file")
    let pipe = folder.url("pipe")
    #expect(mkfifo(pipe.path, 0o600) == 0)
    #expect(message { _ = try SafetensorsFile(pipe) } == "\(pipe.path): is a device or a pipe: expected a file")
  }

  @Test("messages escape control characters and shorten names")
  func message_isPrintable() throws {
    let folder = try TemporaryFolder()
    let url = folder.url("\u{1b}[31m.safetensors")
    let name = "\\u001b]0;\(String(repeating: "x", count: 1000))"
    try safetensorsFile("{\"\(name)\":0}").write(to: url)
    let path = "\(folder.path)/\\u{1b}[31m.safetensors"
    #expect(
      message { _ = try SafetensorsFile(url) }
        == "\(path): tensor '\\u{1b}]0;\(String(repeating: "x", count: 116))…' is 0: expected an object")
  }

  /// Reading a mutated file throws, or gives tensors that can be read.
  @Test func mutatedFilesNeverTrap() throws {
    let folder = try TemporaryFolder()
    let original = folder.url("model.safetensors")
    try Safetensors.write(
      [("weight", .ones([4, 16])), ("scale", .ones([1], .bfloat16)), ("mask", Tensor([true])), ("n", .zeros([0]))],
      to: original)
    let valid = Array(try Data(contentsOf: original))
    var random = SplitMix(state: 7)
    var (accepted, refused) = (0, 0)
    for round in 0..<2000 {
      let url = folder.url("\(round)")
      // Foundation would synchronize with the disk 2,000 times.
      try mutated(valid, &random).withUnsafeBytes { try FileDescriptor(creating: url.path, for: url.path).write($0) }
      do {
        for tensor in try SafetensorsFile(url).tensors().values { _ = try tensor.elements(Double.self) }
        accepted += 1
      } catch {
        #expect(error is CheckpointError)
        #expect("\(error)".hasPrefix("\(url.path): "))
        refused += 1
      }
    }
    #expect(accepted > 100)
    #expect(refused > 1000)
  }

  private func mutated(_ valid: [UInt8], _ random: inout SplitMix) -> [UInt8] {
    var bytes = valid
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let place = Int.random(in: 0..<max(1, bytes.count), using: &random)
      guard place < bytes.count else { break }
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[place] = .random(in: 0...255, using: &random)
      case 2: bytes.insert(.random(in: 0...255, using: &random), at: place)
      case 3: bytes.remove(at: place)
      case 4: bytes.removeLast(bytes.count - place)
      default: bytes[place] = Array("0123456789{}[]\":,-.e \\".utf8).randomElement(using: &random) ?? 0
      }
    }
    return bytes
  }

  private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var word = state
      word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
      word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
      return word ^ (word >> 31)
    }
  }
}
