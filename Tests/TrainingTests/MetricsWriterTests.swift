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
    try writer.write(
      step: 1, [("loss", 0.1), ("tokens", 4096), ("rate", .number(1e-5)), ("note", "a \"b\"\n\u{1}é\\")])
    #expect(
      try folder.read("metrics.jsonl")
        == #"{"step":1,"loss":0.1,"tokens":4096,"rate":1e-05,"note":"a \"b\"\n\u0001é\\"}"# + "\n")
    try writer.write(step: 2, [("a", .number(.nan)), ("b", .number(.infinity)), ("c", .number(-.infinity))])
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
    for value in values { try writer.write(step: 1, [("x", .number(value))]) }
    let read = try MetricsFile.read(path).map { $0.values["x"]?.number?.bitPattern }
    #expect(zip(read, values).allSatisfy { $0 == $1.bitPattern } && read.count == values.count)
  }

  @Test func numbersThatAreNotFiniteComeBack() throws {
    let writer = try MetricsWriter(path, after: 0)
    try writer.write(step: 3, [("a", .number(.nan)), ("b", .number(-.infinity))])
    let line = try #require(try MetricsFile.read(path).first)
    #expect(line.step == 3)
    #expect(line.values["a"]?.number?.isNaN == true)
    #expect(line.values["b"]?.number == -.infinity)
    for spelling in ["nan", "-nan", "NaN", "-NaN"] {
      #expect(MetricsValue.text(spelling).number?.isNaN == true, "\(spelling)")
    }
    #expect(MetricsValue.text("-Inf").number == -.infinity)
    #expect(MetricsValue.text("nancy").number == nil)
  }

  @Test("resuming drops later steps and an incomplete line") func resuming_truncates() throws {
    let remaining = "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2.5}\n{\"step\":2,\"validation\":2.75}\n"
    try folder.write("metrics.jsonl", text: remaining + "{\"step\":3,\"loss\":2}\n{\"step\":4,\"lo")
    let writer = try MetricsWriter(path, after: 2)
    #expect(try folder.read("metrics.jsonl") == remaining)
    try writer.write(step: 3, [("loss", 2)])
    #expect(try folder.read("metrics.jsonl") == remaining + "{\"step\":3,\"loss\":2}\n")
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
