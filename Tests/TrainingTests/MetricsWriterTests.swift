import Foundation
import TestSupport
import Testing
import WidebandCheckpoint

@testable import WidebandData
@testable import WidebandTraining

@Suite struct MetricsWriterTests {
  private let folder: TemporaryFolder
  private var path: String { folder("metrics.jsonl") }

  init() throws { folder = try TemporaryFolder() }

  @Test("lines have the documented form") func lines_form() throws {
    let writer = try MetricsWriter(path, after: 0)
    try writer.write(step: 1, [("train/loss", 0.1), ("tokens", 4096), ("rate", 1e-5), ("a \"b\"\n\u{1}é\\", 1)])
    #expect(
      try folder.read("metrics.jsonl")
        == #"{"step":1,"train/loss":0.1,"tokens":4096.0,"rate":1e-05,"a \"b\"\n\u0001é\\":1.0}"# + "\n")
    try writer.write(step: 2, [("a", .nan), ("b", .infinity), ("c", -.infinity)])
    #expect(try folder.read("metrics.jsonl").hasSuffix("{\"step\":2,\"a\":\"nan\",\"b\":\"inf\",\"c\":\"-inf\"}\n"))
    for object in try folder.read("metrics.jsonl").split(separator: "\n") {
      #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(object.utf8)) }
    }
  }

  @Test func numbersComeBackBitForBit() throws {
    var generator = SystemRandomNumberGenerator()
    let values =
      (0..<1000).map { _ in Double(bitPattern: generator.next()) }.filter(\.isFinite) + [
        -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude,
      ]
    let writer = try MetricsWriter(path, after: 0)
    for value in values { try writer.write(step: 1, [("x", value)]) }
    let read = try MetricsFile.read(path).map { $0.values["x"]?.bitPattern }
    #expect(zip(read, values).allSatisfy { $0 == $1.bitPattern } && read.count == values.count)
  }

  @Test func numbersThatAreNotFiniteComeBack() throws {
    let writer = try MetricsWriter(path, after: 0)
    try writer.write(step: 3, [("a", .nan), ("b", -.infinity)])
    let read = try #require(try MetricsFile.read(path).first)
    #expect(read.step == 3)
    #expect(read.values["a"]?.isNaN == true)
    #expect(read.values["b"] == -.infinity)
    for spelling in ["nan", "-nan", "NaN", "-NaN"] {
      try folder.write("metrics.jsonl", text: "{\"step\":3,\"a\":\"\(spelling)\"}\n")
      #expect(try MetricsFile.read(path).first?.values["a"]?.isNaN == true, "\(spelling)")
    }
    let line = #"{"step":3,"a":"-Inf","b":"nancy","c":"1","d":NaN,"e":-Infinity,"f":1e999,"g":-1e999}"#
    try folder.write("metrics.jsonl", text: line + "\n")
    let values = try #require(try MetricsFile.read(path).first?.values)
    #expect(values["a"] == -.infinity && values["b"] == nil && values["c"] == nil && values["d"]?.isNaN == true)
    #expect(values["e"] == -.infinity && values["f"] == .infinity && values["g"] == -.infinity)
  }

  @Test("resuming drops later steps and an incomplete line") func resuming_truncates() throws {
    let remaining = "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2.5}\n{\"step\":2,\"validation\":2.75}\n"
    try folder.write("metrics.jsonl", text: remaining + "{\"step\":3,\"loss\":2}\n{\"step\":4,\"lo")
    let writer = try MetricsWriter(path, after: 2)
    #expect(try folder.read("metrics.jsonl") == remaining)
    try writer.write(step: 3, [("loss", 2)])
    #expect(try folder.read("metrics.jsonl") == remaining + "{\"step\":3,\"loss\":2.0}\n")
    try folder.write("metrics.jsonl", text: remaining + "{\"step\":3")
    _ = try MetricsWriter(path, after: 5)
    #expect(try folder.read("metrics.jsonl") == remaining)
  }

  @Test func damageIsNamed() throws {
    try folder.write("metrics.jsonl", text: "{\"step\":1}\n{\"loss\":1}\n{\"step\":3}\n")
    #expect(
      message { _ = try MetricsWriter(path, after: 9) }
        == "\(path): line 2: step is missing: expected an integer from 0 to 1000000000000")
  }

  @Test func aMissingFileHasNoLines() throws {
    #expect(try MetricsFile.read(path) == [])
    #expect(
      message { _ = try MetricsWriter(folder("none/metrics.jsonl"), after: 0) }
        == "\(folder("none/metrics.jsonl")): cannot be opened for writing: No such file or directory")
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func aFullDiskIsNamed() throws {
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/full")
    let file = try FileWriter(path)
    #expect(message { try file.append("0123456789") } == "\(path): cannot write 10 bytes: No space left on device")
  }
}
