import Foundation
import TestSupport
import Testing

@testable import WidebandTraining

@Suite struct TensorBoardWriterTests {
  @Test func checksumsAreThoseOfTheStandard() {
    // CRC-32C of "123456789" is E3069283 (RFC 3720 gives the polynomial); masked as TFRecord does it.
    let sum: UInt32 = 0xE306_9283
    #expect(TensorBoardRecord.maskedChecksum(Array("123456789".utf8)) == (sum >> 15 | sum << 17) &+ 0xA282_EAD8)
    // RFC 3720, B.4: 32 bytes of zeros give 8A9136AA.
    let zeros: UInt32 = 0x8A91_36AA
    #expect(
      TensorBoardRecord.maskedChecksum([UInt8](repeating: 0, count: 32)) == (zeros >> 15 | zeros << 17) &+ 0xA282_EAD8)
  }

  /// Parses a file of records and checks every checksum.
  private func events(_ path: String) throws -> [TensorBoardEvent] {
    var rest = [UInt8](try #require(FileManager.default.contents(atPath: path)))[...]
    func word(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
    var events: [TensorBoardEvent] = []
    while !rest.isEmpty {
      let header = rest.prefix(8)
      let length = Int(word(header))
      #expect(word(rest.dropFirst(8).prefix(4)) == UInt64(TensorBoardRecord.maskedChecksum(Array(header))))
      let data = Array(rest.dropFirst(12).prefix(length))
      #expect(word(rest.dropFirst(12 + length).prefix(4)) == UInt64(TensorBoardRecord.maskedChecksum(data)))
      events.append(try TensorBoardEvent(serializedBytes: data))
      rest = rest.dropFirst(16 + length)
    }
    return events
  }

  @Test func eventsComeBack() throws {
    let folder = try TemporaryFolder()
    let writer = try TensorBoardWriter(folder: folder.path, after: 100)
    try writer.write(step: 101, scalars: [("loss/train", 2.5), ("loss/validation", .nan)])
    try writer.write(step: 102, tag: "sample", text: "In the beginning")
    let name = try #require(try folder.names().first)
    #expect(name.hasPrefix("events.out.tfevents.1") && name.hasSuffix(ProcessInfo.processInfo.hostName))
    let events = try events(folder(name))
    #expect(events.map(\.step) == [0, 101, 101, 102])
    #expect(events[0].fileVersion == "brain.Event:2")
    #expect(events[1].sessionLog.status == 1)
    #expect(events[2].summary.value.map(\.tag) == ["loss/train", "loss/validation"])
    #expect(events[2].summary.value[0].simpleValue == 2.5)
    #expect(events[2].summary.value[1].simpleValue.isNaN)
    #expect(events[3].summary.value[0].tensor.stringVal == [Data("In the beginning".utf8)])
    #expect(events.allSatisfy { abs($0.wallTime - Date().timeIntervalSince1970) < 3600 })
  }

  /// The bytes that TensorFlow's own messages with these values have.
  @Test func bytesAreThoseOfTensorFlow() throws {
    let folder = try TemporaryFolder()
    let writer = try TensorBoardWriter(folder: folder.path, after: 100)
    try writer.write(step: 101, scalars: [("loss/train", 2.5), ("zero", 0)])
    try writer.write(step: 102, tag: "sample", text: "In the beginning")
    let bytes = try events(folder(#require(try folder.names().first))).map { event in
      var event = event
      event.wallTime = 0
      let bytes: [UInt8] = try event.serializedBytes()
      return bytes.map { String(format: "%02x", $0) }.joined()
    }
    #expect(
      bytes == [
        "1a0d627261696e2e4576656e743a32", "10653a020801",
        "10652a200a110a0a6c6f73732f747261696e15000020400a0b0a047a65726f1500000000",
        "10662a320a300a0673616d706c65421a08071204120208014210496e2074686520626567696e6e696e674a0a0a060a04746578742002",
      ])
  }

  @Test func aSecondStartWritesItsOwnFile() throws {
    let folder = try TemporaryFolder()
    for _ in 0..<3 { _ = try TensorBoardWriter(folder: folder.path, after: 0) }
    #expect(try folder.names().count == 3)
  }
}
