import Foundation
import TestSupport
import Testing

@testable import WidebandData

@Suite struct TokenArrayTests {
  private let folder: TemporaryFolder
  private var path: String { folder("a.npy") }

  init() throws { folder = try TemporaryFolder() }

  @Test func roundTrip_elements() throws {
    for (element, values) in [
      (TokenArrayHeader.Element.uint16, [0, 1, 65_535]), (.uint32, [0, 65_536, 4_294_967_295]),
      (.int64, [0, 7, 1 << 40]),
    ] {
      try? FileManager.default.removeItem(atPath: path)
      let writer = try TokenArrayWriter(path, element)
      try writer.append(values)
      try writer.finish()
      #expect(try TokenArray(path, expecting: [element]).elements == values.map(Int64.init))
    }
  }

  @Test func header_equalsNumPy() {
    let bytes = TokenArrayHeader(.uint16, count: 12).bytes
    #expect(bytes.count == 128)
    #expect(Array(bytes.prefix(10)) == [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, 118, 0])
    let text = String(decoding: bytes.dropFirst(10), as: UTF8.self)
    #expect(text.hasPrefix("{'descr': '<u2', 'fortran_order': False, 'shape': (12,), } "))
    #expect(text.hasSuffix(" \n"))
  }

  /// The error for a file with this header and this many bytes after it.
  private func failure(header text: String, bytes: Int = 0, version: UInt8 = 1) throws -> String {
    let header = [0x93] + Array("NUMPY".utf8) + [version, 0, UInt8(text.utf8.count), 0] + Array(text.utf8)
    try folder.write("a.npy", header + [UInt8](repeating: 0, count: bytes))
    return message { _ = try TokenArray(path, expecting: [.uint16, .uint32]) }
  }

  @Test func read_invalidFile_isNamed() throws {
    let good = "{'descr': '<u2', 'fortran_order': False, 'shape': (4,), }"
    #expect(try failure(header: good, bytes: 8) == "no error")
    #expect(message { _ = try TokenArray(folder("b.npy"), expecting: [.uint16]) } == "\(folder("b.npy")): no such file")
    #expect(mkfifo(folder("fifo.npy"), 0o600) == 0)
    #expect(
      message { _ = try TokenArray(folder("fifo.npy"), expecting: [.uint16]) }
        == "\(folder("fifo.npy")): is a FIFO: expected a file")
    try folder.write("a.npy", text: "hello")
    #expect(
      message { _ = try TokenArray(path, expecting: [.uint16]) }
        == "\(path): is not a .npy file: it does not begin with \\x93NUMPY")
    #expect(try failure(header: good, bytes: 8, version: 2) == "\(path): is a .npy file of version 2.0: expected 1.0")
    #expect(
      try failure(header: good, bytes: 7) == "\(path): has 7 bytes after its header: expected 4 elements of 2 bytes")
    #expect(
      try failure(header: good.replacing("<u2", with: "<f4"), bytes: 16)
        == "\(path): has elements of type '<f4': expected '<u2' or '<u4'")
    #expect(
      try failure(header: good.replacing("(4,)", with: "(2, 2)"), bytes: 8)
        == "\(path): has the shape (2, 2): expected one axis")
    let huge = good.replacing("4", with: "9223372036854775807")
    #expect(
      try failure(header: huge, bytes: 8)
        == "\(path): has 8 bytes after its header: expected 9223372036854775807 elements of 2 bytes")
    try folder.write("a.npy", [0x93] + Array("NUMPY".utf8) + [1, 0, 255, 255, 32])
    #expect(
      message { _ = try TokenArray(path, expecting: [.uint16]) }
        == "\(path): is cut short: the header takes 65545 bytes, the file has 11")
  }
}
