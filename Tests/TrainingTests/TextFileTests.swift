import Foundation
import Testing

@testable import Training

@Suite struct TextFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// "alpha\nbeta\n" and "gamma\n", each packed by gzip.
  private static let first = "H4sIAAAAAAAAA0vMKchI5EpKLUnkAgBuUDBuCwAAAA=="
  private static let second = "H4sIAAAAAAAAA0tPzM1N5AIA6QQRFQYAAAA="

  private func unpacked(_ base64: String) throws -> Data { try #require(Data(base64Encoded: base64)) }

  private func documents(_ path: String, blockSize: Int? = nil) throws -> [String] {
    var documents = try TextDocuments(#require(TextFile(path)), blockSize: blockSize)
    var texts: [String] = []
    while let block = try documents.next() {
      texts.append(String(decoding: block.bytes, as: UTF8.self) + (block.isLast ? "" : "…"))
    }
    return texts
  }

  @Test func foldersAreReadInOrderAndOtherFilesNoted() throws {
    for name in ["b.txt", "a/2.jsonl", "a/1.txt.gz", "a/3.jsonl.gz", "notes.md", ".hidden.txt"] {
      try folder.write(name, text: "x")
    }
    try FileManager.default.createSymbolicLink(atPath: folder("again"), withDestinationPath: folder.path)
    let found = try TextFile.find([folder.path])
    #expect(
      found.files.map { $0.path.dropFirst(folder.path.count + 1) } == [
        "a/1.txt.gz", "a/2.jsonl", "a/3.jsonl.gz", "b.txt",
      ])
    #expect(found.files.map(\.form) == [.text, .jsonLines, .jsonLines, .text])
    #expect(found.files.map(\.isCompressed) == [true, false, true, false])
    #expect(
      found.notes == [
        "\(folder("again")): skipped, a link to a folder",
        "\(folder("notes.md")): skipped, the name does not end in .txt, .jsonl, .txt.gz or .jsonl.gz",
      ])
  }

  @Test func whatIsNotThereIsNamed() throws {
    try folder.write("notes.md", text: "x")
    #expect(message { _ = try TextFile.find([folder("none")]) } == "\(folder("none")): no such file or folder")
    #expect(
      message { _ = try TextFile.find([folder.path]) }
        == "\(folder.path): no text found; looked for names that end in .txt, .jsonl, .txt.gz or .jsonl.gz")
    #expect(
      message { _ = try TextFile.find([folder("notes.md")]) }
        == "\(folder("notes.md")): expected a folder or a name that ends in .txt, .jsonl, .txt.gz or .jsonl.gz")
  }

  @Test func theChecksumIsThatOfTheBytes() throws {
    let file = try #require(TextFile(try folder.write("a.txt", text: "123456789")))
    #expect(try file.checksum() == 0xCBF4_3926)
  }

  @Test func textIsOneDocumentAndLinesAreSeveral() throws {
    #expect(try documents(folder.write("a.txt", text: "one\n\ntwo")) == ["one\n\ntwo"])
    #expect(try documents(folder.write("empty.txt", text: "")) == [])
    #expect(try documents(folder.write("mark.txt", text: "\u{FEFF}one")) == ["one"])
    let lines = #"{"text": "one\nline", "id": 1}"# + "\r\n\n" + #"{"text": ""}"# + "\n" + #"{"text": "é\u00e9🙂"}"#
    #expect(try documents(folder.write("a.jsonl", text: lines)) == ["one\nline", "éé🙂"])
  }

  @Test func linesLongerThanTheBufferAreWhole() throws {
    let long = String(repeating: "wide ", count: 200_000)
    let path = try folder.write("a.jsonl", text: "{\"text\": \"\(long)\"}\n{\"text\": \"end\"}\n")
    #expect(try documents(path) == [long, "end"])
  }

  @Test func packedFilesOfSeveralMembersAreRead() throws {
    let both = try unpacked(Self.first) + unpacked(Self.second)
    #expect(try documents(folder.write("a.txt.gz", both)) == ["alpha\nbeta\ngamma\n"])
  }

  @Test func damagedPackedFilesAreNamed() throws {
    let packed = try unpacked(Self.first)
    let short = try folder.write("short.txt.gz", packed.dropLast(9))
    #expect(message { _ = try documents(short) } == "\(short): the gzip stream is cut short")
    var damaged = packed
    damaged[packed.count - 7] ^= 1
    let wrong = try folder.write("wrong.txt.gz", damaged)
    #expect(message { _ = try documents(wrong) } == "\(wrong): the gzip stream is damaged: incorrect data check")
    let plain = try folder.write("plain.txt.gz", text: "text")
    #expect(message { _ = try documents(plain) } == "\(plain): is not a gzip file, though its name ends in .gz")
    let hidden = try folder.write("hidden.txt", packed)
    #expect(message { _ = try documents(hidden) } == "\(hidden): is a gzip file: give it a name that ends in .gz")
  }

  @Test func bytesThatAreNoTextAreNamed() throws {
    let text = try folder.write("a.txt", Array("é and ".utf8) + [0xC3, 0x28])
    #expect(message { _ = try documents(text) } == "\(text): byte 7 is 0xC3, which is not UTF-8")
    // A cut-off sequence that begins like U+FFFD is found at its start.
    let close = try folder.write("b.txt", [0x61, 0xEF, 0xBF])
    #expect(message { _ = try documents(close) } == "\(close): byte 1 is 0xEF, which is not UTF-8")
    let lines = try folder.write("a.jsonl", Array("{\"text\": \"a\"}\n{\"text\": \"".utf8) + [0xFF] + Array("\"}".utf8))
    #expect(message { _ = try documents(lines) } == "\(lines): byte 24 is 0xFF, which is not UTF-8")
  }

  @Test(arguments: [
    ("{\"text\": \"a\"", "not valid JSON"), ("[1]", "expected a JSON object with a key \"text\""),
    ("{\"texts\": \"a\"}", "there is no key \"text\""), ("{\"text\": 3}", "the value of \"text\" is no string"),
    ("{\"text\": null}", "the value of \"text\" is no string"),
  ])
  func linesThatAreNoDocumentsAreNamed(line: String, problem: String) throws {
    let path = try folder.write("a.jsonl", text: "{\"text\": \"a\"}\n\n\(line)\n")
    #expect(message { _ = try documents(path) } == "\(path): line 3: \(problem)")
  }

  @Test func blocksEndAtLinesAndJoinToTheText() throws {
    let text = (0..<1000).map { "line \($0) — é\n" }.joined()
    let blocks = try documents(folder.write("a.txt", text: text), blockSize: 100)
    #expect(blocks.dropLast().allSatisfy { $0.hasSuffix("\n…") && (101..<130).contains($0.utf8.count - 3) })
    #expect(blocks.map { $0.replacing("…", with: "") }.joined() == text)
    let unbroken = String(repeating: "é", count: 333)
    let parts = try documents(folder.write("b.jsonl", text: "{\"text\": \"\(unbroken)\"}"), blockSize: 101)
    #expect(parts.map { $0.replacing("…", with: "") }.joined() == unbroken)
    #expect(parts.count == 6)
  }
}
