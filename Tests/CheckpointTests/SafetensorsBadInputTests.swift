import Foundation
import Testing
import Torch

@testable import Checkpoint

/// A file that lies, and what is said about it after its path.
struct Lie: CustomTestStringConvertible, Sendable {
  let file: Data
  let message: String
  var testDescription: String { String(message.prefix(100)) }

  init(_ file: Data, _ message: String) {
    self.file = file
    self.message = message
  }

  /// A file with the given header and `dataCount` bytes of data.
  init(_ header: String, _ dataCount: Int, _ message: String) {
    self.init(lyingFile(header, dataCount: dataCount), message)
  }

  /// A file with one tensor "a" of which the header says `entry`.
  static func tensor(_ entry: String, _ dataCount: Int, _ message: String) -> Lie {
    Lie(#"{"a":\#(entry)}"#, dataCount, message)
  }

  /// A file with one tensor "a" of dtype F32.
  static func float(_ shape: String, _ offsets: String, _ dataCount: Int, _ message: String) -> Lie {
    tensor(#"{"dtype":"F32","shape":\#(shape),"data_offsets":\#(offsets)}"#, dataCount, message)
  }

  /// A file with tensors "a", "b", … of dtype U8 at the given places.
  static func places(_ ranges: [Range<Int>], _ dataCount: Int, _ message: String) -> Lie {
    let entries = zip(["a", "b", "c"], ranges).map { name, range in
      #""\#(name)":{"dtype":"U8","shape":[\#(range.count)],"data_offsets":[\#(range.lowerBound),\#(range.upperBound)]}"#
    }
    return Lie("{\(entries.joined(separator: ","))}", dataCount, message)
  }
}

@Suite struct SafetensorsBadInputTests {
  static let naturals = "an array of whole numbers from 0 to 9223372036854775807"

  static let lengths = [
    Lie(Data(), "0 bytes are too few for a safetensors file, expected at least 8"),
    Lie(Data(count: 7), "7 bytes are too few for a safetensors file, expected at least 8"),
    Lie(lyingFile("{}", length: UInt64(Int64.max)), "header length 9223372036854775807 exceeds the file's 10 bytes"),
    Lie(lyingFile("{}", length: .max), "header length 18446744073709551615 exceeds the file's 10 bytes"),
    Lie(lyingFile("{}", length: 3), "header length 3 exceeds the file's 10 bytes"),
    Lie(lyingFile("", length: 0), "header is not valid JSON: no value for the header at byte 0"),
  ]

  static let documents = [
    Lie(lyingFile("{}", length: 2).dropLast(2) + Data([0x7b, 0xff]), "header is not UTF-8"),
    Lie("[]", 0, "the header: expected an object, found '['"),
    Lie("{} x", 0, "header is not valid JSON: text after the end at byte 3"),
    Lie(#"{"a""#, 0, "header is not valid JSON: no ':' at byte 4"),
    Lie(#"{"a"#, 0, "header is not valid JSON: a string without an end at byte 3"),
    Lie(#"{"a\"#, 0, "header is not valid JSON: a string without an end at byte 5"),
    Lie(#"{"a\q":1}"#, 0, "header is not valid JSON: an unknown escape in a string at byte 6"),
    Lie(#"{"a\ud800":1}"#, 0, "header is not valid JSON: an unknown escape in a string at byte 10"),
    Lie("{\"a\u{1}\":1}", 0, "header is not valid JSON: a control character in a string at byte 3"),
    Lie("{,}", 0, "header is not valid JSON: no value for a tensor name of the header at byte 1"),
    Lie("{1:2}", 0, "a tensor name of the header: expected a string, found '1'"),
    Lie(#"{"__metadata__":{}"#, 0, "header is not valid JSON: neither ',' nor '}' at byte 18"),
    Lie(#"{"__metadata__":{"format":1}}"#, 0, "__metadata__ 'format': expected a string, found '1'"),
    Lie(#"{"__metadata__":{"k":"","k":""}}"#, 0, "duplicate key 'k' in __metadata__"),
    Lie.tensor("4", 0, "tensor 'a': expected an object, found '4'"),
    Lie.tensor(#"{"more":[[1, {"x": nul}]]}"#, 0, "header is not valid JSON: no value at byte 24"),
    Lie.tensor(
      #"{"more":"# + String(repeating: "[", count: 100_000), 0,
      "header is not valid JSON: more than 64 levels at byte 77"),
  ]

  static let entries = [
    Lie.tensor(#"{"shape":[1],"data_offsets":[0,4]}"#, 4, "tensor 'a' has no dtype"),
    Lie.tensor(#"{"dtype":"F32","data_offsets":[0,4]}"#, 4, "tensor 'a' has no shape"),
    Lie.tensor(#"{"dtype":"F32","shape":[1]}"#, 4, "tensor 'a' has no data_offsets"),
    Lie.tensor(#"{"dtype":"F32","dtype":"F32"}"#, 4, "duplicate key 'dtype' in tensor 'a'"),
    Lie.tensor(#"{"dtype":6}"#, 4, "tensor 'a': dtype: expected a string, found '6'"),
    Lie.tensor(
      #"{"dtype":"F31","shape":[1],"data_offsets":[0,4]}"#, 4,
      "tensor 'a' has unknown dtype 'F31': expected one of I64, F64, F32, I32, BF16, F16, I16, I8, U8, BOOL"),
    Lie.float("[-1]", "[0,4]", 4, "tensor 'a': shape: expected \(naturals), found '-1'"),
    Lie.float("[1.0]", "[0,4]", 4, "tensor 'a': shape: expected \(naturals), found '1.0'"),
    Lie.float("[1e0]", "[0,4]", 4, "tensor 'a': shape: expected \(naturals), found '1e0'"),
    Lie.float("[01]", "[0,4]", 4, "tensor 'a': shape: expected \(naturals), found '01'"),
    Lie.float("[true]", "[0,4]", 4, "tensor 'a': shape: expected \(naturals), found 'true'"),
    Lie.float("null", "[0,4]", 4, "tensor 'a': shape: expected \(naturals), found 'null'"),
    Lie.float(
      "[9223372036854775808]", "[0,4]", 4, "tensor 'a': shape: expected \(naturals), found '9223372036854775808'"),
    Lie.float(
      "[4611686018427387904, 4]", "[0,0]", 0,
      "tensor 'a' has shape [4611686018427387904, 4], whose size overflows 64 bits"),
    Lie.float(
      "[0, 4611686018427387904, 4]", "[0,0]", 0,
      "tensor 'a' has shape [0, 4611686018427387904, 4], whose size overflows 64 bits"),
    Lie.float("[1]", "[0]", 4, "tensor 'a': data_offsets hold 1 numbers, expected 2"),
    Lie.float("[1]", "[0,4,8]", 4, "tensor 'a': data_offsets hold 3 numbers, expected 2"),
    Lie.float("[1]", "[-4,0]", 4, "tensor 'a': data_offsets: expected \(naturals), found '-4'"),
    Lie.float("[1]", "[8,4]", 8, "tensor 'a': data_offsets [8, 4] begin after their end"),
    Lie.float("[1]", "[0,8]", 4, "tensor 'a': data_offsets [0, 8] end past the file's 4 bytes of data"),
    Lie.float("[3]", "[0,8]", 8, "tensor 'a': data_offsets [0, 8] span 8 bytes, but F32 of shape [3] takes 12"),
    Lie.float("[]", "[0,8]", 8, "tensor 'a': data_offsets [0, 8] span 8 bytes, but F32 of shape [] takes 4"),
  ]

  static let layouts = [
    Lie(
      #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0,
      "duplicate tensor name 'a' in the header"),
    Lie(
      #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
      0, "duplicate tensor name 'a' in the header"),
    Lie.places([0..<8, 4..<12], 12, "tensor 'b' begins at data byte 4, inside tensor 'a', which ends at 8"),
    Lie.places([4..<12, 0..<8], 12, "tensor 'a' begins at data byte 4, inside tensor 'b', which ends at 8"),
    Lie.places([0..<8, 0..<8], 8, "tensor 'b' begins at data byte 0, inside tensor 'a', which ends at 8"),
    Lie.places([0..<8, 4..<4], 8, "tensor 'b' begins at data byte 4, inside tensor 'a', which ends at 8"),
    Lie.places([0..<4, 6..<8], 8, "data bytes 4 to 6 belong to no tensor"),
    Lie.places([2..<8], 8, "data bytes 0 to 2 belong to no tensor"),
    Lie.places([0..<4], 8, "data bytes 4 to 8 belong to no tensor"),
    Lie("{}", 3, "data bytes 0 to 3 belong to no tensor"),
  ]

  @Test(arguments: lengths + documents + entries + layouts)
  func aLieIsToldInOneSentence(_ lie: Lie) throws {
    let folder = try TemporaryFolder()
    let url = folder("model.safetensors")
    try lie.file.write(to: url)
    #expect(message { _ = try SafetensorsFile(url) } == "\(url.path): \(lie.message)")
  }

  @Test func aHeaderBeyondTheFormatsLimitIsNotRead() throws {
    let folder = try TemporaryFolder()
    let url = folder("model.safetensors")
    try withUnsafeBytes(of: UInt64(100_000_001).littleEndian) { Data($0) }.write(to: url)
    // A file with a hole: nothing of its length is on the disk.
    #expect(truncate(url.path, 200_000_000) == 0)
    let expected = "header length 100000001 exceeds the format's limit of 100000000 bytes"
    #expect(message { _ = try SafetensorsFile(url) } == "\(url.path): \(expected)")
  }

  @Test func aBooleanIsZeroOrOne() throws {
    let folder = try TemporaryFolder()
    let url = folder("model.safetensors")
    let header = #"{"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}"#
    try (lyingFile(header) + Data([0, 1, 2])).write(to: url)
    let expected = "\(url.path): tensor 'mask': element 2 is 2, expected a BOOL of 0 or 1"
    #expect(message { _ = try SafetensorsFile(url).tensors() } == expected)
  }

  @Test func whatIsNoFileIsNamed() throws {
    let folder = try TemporaryFolder()
    let missing = folder("missing.safetensors")
    #expect(
      message { _ = try SafetensorsFile(missing) } == "\(missing.path): cannot be opened: No such file or directory")
    #expect(message { _ = try SafetensorsFile(folder.url) } == "\(folder.url.path): is a folder, expected a file")
    let pipe = folder("pipe")
    #expect(mkfifo(pipe.path, 0o600) == 0)
    #expect(message { _ = try SafetensorsFile(pipe) } == "\(pipe.path): is a device or a pipe, expected a file")
  }

  @Test func aMessageStaysShortAndOnOneLine() throws {
    #expect(quoted("line\nbreak\u{1b}[31m") == "'line\\u{a}break\\u{1b}[31m'")
    #expect(quoted(String(repeating: "x", count: 1000)) == "'\(String(repeating: "x", count: 120))…'")
  }

  /// Whatever is done to a file, reading it throws or gives tensors that can be looked at.
  @Test func mutatedFilesNeverTrap() throws {
    let folder = try TemporaryFolder()
    let original = folder("model.safetensors")
    try Safetensors.write(
      [("weight", .ones([4, 16])), ("scale", .ones([1], .bfloat16)), ("mask", Tensor([true])), ("n", .zeros([0]))],
      to: original)
    let valid = Array(try Data(contentsOf: original))
    var random = SplitMix(state: 7)
    var (accepted, refused) = (0, 0)
    for round in 0..<2000 {
      let url = folder("\(round)")
      // Foundation would wait for the disk 2,000 times.
      try mutated(valid, &random).withUnsafeBytes(FileDescriptor(creating: url.path, for: url.path).append)
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
