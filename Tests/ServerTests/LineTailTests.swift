import Foundation
import TestSupport
import Testing

@testable import WidebandServer

struct LineTailTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func linesAreReadOnce() throws {
    let path = try folder.write("file", text: "one\ntwo\nthr")
    let first = try LineTail(of: path, from: 0)
    #expect(first.text == "one\ntwo\n" && first.end == 8)
    // The last line is half written.
    let second = try LineTail(of: path, from: first.end)
    #expect(second.text == "" && second.end == 8)
    try folder.write("file", text: "one\ntwo\nthree\nfour\n")
    let third = try LineTail(of: path, from: second.end)
    #expect(third.text == "three\nfour\n" && third.end == 19 && !third.isCut)
  }

  @Test func missingOrShorterFile_hasNoLines() throws {
    let missing = try LineTail(of: folder("none"), from: 0)
    #expect(missing.text == "" && missing.end == 0 && !missing.isCut)
    let shorter = try LineTail(of: folder.write("file", text: "one\n"), from: .max)
    #expect(shorter.text == "" && shorter.end == .max && !shorter.isCut)
  }

  @Test("a long file comes in parts, and a line is never cut")
  func limit() throws {
    let path = try folder.write("file", text: "1\n22\n\(String(repeating: "3", count: 30))\n4\n")
    let first = try LineTail(of: path, from: 0, limit: 4)
    #expect(first.text == "1\n" && first.isCut)
    let second = try LineTail(of: path, from: first.end, limit: 4)
    #expect(second.text == "22\n" && second.isCut)
    let third = try LineTail(of: path, from: second.end, limit: 4)
    #expect(third.text.hasPrefix("333") && third.text.hasSuffix("3\n") && third.text.count == 31)
    #expect(try LineTail(of: path, from: third.end).text == "4\n")
  }

  @Test("the offset counts bytes of the file, also where they are not UTF-8")
  func repairedText() throws {
    let path = try folder.write("file", [0x61, 0xFF, 0x0A, 0x62, 0x0A] as [UInt8])
    let tail = try LineTail(of: path, from: 0)
    #expect(tail.text == "a\u{FFFD}\nb\n" && tail.end == 5)
  }
}
