import Foundation
import TestSupport
import Testing

@testable import WidebandCheckedInput

/// Bounded reads of files and pipes.
struct BoundedStreamTests {
  @Test("a stream is read up to the limit, and more bytes are an error")
  func stream_isBounded() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: file) }
    let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
    try Data(bytes).write(to: file)
    #expect(try boundedContents(ofStream: file.path, limit: 200_000) == bytes)
    #expect(
      message { _ = try boundedContents(ofStream: file.path, limit: 199_999) }
        == "\(file.path): has more than 199999 bytes: expected at most as many")
  }

  @Test("a stream that cannot be read is named with the reason")
  func stream_thatCannotBeRead_isReported() throws {
    let folder = FileManager.default.temporaryDirectory.path
    #expect(message { _ = try boundedContents(ofStream: folder, limit: 9) } == "\(folder): is a folder: expected text")
    #expect(
      message { _ = try boundedContents(ofStream: "/no\nwhere", limit: 9) }
        == "/no\\u{a}where: cannot be read: No such file or directory")
    #expect(
      message { _ = try boundedContents(ofDescriptor: -1, name: "input", limit: 9) }
        == "input: cannot be read: it is closed")
  }

  @Test("a FIFO without a writer is an error after a timeout, and is read with one")
  func fifo_needsAWriter() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
    try #require(mkfifo(path, 0o600) == 0)
    defer { unlink(path) }
    #expect(
      message { _ = try boundedContents(ofStream: path, limit: 9, timeout: 50) }
        == "\(path): is a FIFO that nothing writes into: expected text")
    // A writer that is slower than the timeout.
    let both = open(path, O_RDWR)
    let writer = Thread {
      usleep(200_000)
      _ = write(both, "slow", 4)
      close(both)
    }
    writer.start()
    #expect(try boundedContents(ofStream: path, limit: 9, timeout: 50) == Array("slow".utf8))
  }

  @Test("all bytes reach a pipe that does not block its writer")
  func writeAll_waitsForAReader() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    let (reader, writer) = (ends[0], ends[1])
    try #require(fcntl(writer, F_SETFL, O_NONBLOCK) == 0)
    // More than a pipe holds.
    let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
    let thread = Thread {
      _ = bytes.withUnsafeBytes { writeAll($0, to: writer) }
      close(writer)
    }
    thread.start()
    // The pipe is full before the first read.
    usleep(100_000)
    #expect(try boundedContents(ofDescriptor: reader, name: "pipe", limit: 1 << 20) == bytes)
    close(reader)
  }
}
