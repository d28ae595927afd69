import Foundation
import TestSupport
import Testing

@testable import WidebandData

@Suite struct TextFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// "alpha\nbeta\n" and "gamma\n", each compressed by gzip.
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

  @Test func find_foldersInOrder() throws {
    for name in ["b.txt", "a/2.jsonl", "a/1.txt.gz", "a/3.jsonl.gz", "notes.md", ".hidden.txt"] {
      try folder.write(name, text: "x")
    }
    try FileManager.default.createSymbolicLink(atPath: folder("again"), withDestinationPath: folder.path)
    let found = try TextFile.find([folder.path])
    #expect(
      found.files.map { $0.path.dropFirst(folder.path.count + 1) } == [
        "a/1.txt.gz", "a/2.jsonl", "a/3.jsonl.gz", "b.txt",
      ])
    #expect(found.files.map(\.format) == [.text, .jsonLines, .jsonLines, .text])
    #expect(found.files.map(\.isCompressed) == [true, false, true, false])
    #expect(
      found.notes == [
        "\(folder("again")): skipped, a link to a folder",
        "\(folder("notes.md")): skipped, the name does not end in .txt, .jsonl, .txt.gz or .jsonl.gz",
      ])
  }

  @Test func find_missing_isNamed() throws {
    try folder.write("notes.md", text: "x")
    #expect(message { _ = try TextFile.find([folder("none")]) } == "\(folder("none")): no such file or folder")
    #expect(
      message { _ = try TextFile.find([folder.path]) }
        == "\(folder.path): no text found; looked for names that end in .txt, .jsonl, .txt.gz or .jsonl.gz")
    #expect(
      message { _ = try TextFile.find([folder("notes.md")]) }
        == "\(folder("notes.md")): expected a folder or a name that ends in .txt, .jsonl, .txt.gz or .jsonl.gz")
  }

  @Test func checksum_ofBytes() throws {
    let file = try #require(TextFile(try folder.write("a.txt", text: "123456789")))
    #expect(try file.checksum() == 0xCBF4_3926)
  }

  @Test func documents_ofTextAndLines() throws {
    #expect(try documents(folder.write("a.txt", text: "one\n\ntwo")) == ["one\n\ntwo"])
    #expect(try documents(folder.write("empty.txt", text: "")) == [])
    #expect(try documents(folder.write("mark.txt", text: "\u{FEFF}one")) == ["one"])
    let lines = #"{"text": "one\nline", "id": 1}"# + "\r\n\n" + #"{"text": ""}"# + "\n" + #"{"text": "é\u00e9🙂"}"#
    #expect(try documents(folder.write("a.jsonl", text: lines)) == ["one\nline", "éé🙂"])
  }

  @Test func line_longerThanBuffer() throws {
    let long = String(repeating: "wide ", count: 200_000)
    let path = try folder.write("a.jsonl", text: "{\"text\": \"\(long)\"}\n{\"text\": \"end\"}\n")
    #expect(try documents(path) == [long, "end"])
  }

  @Test func gzip_severalMembers() throws {
    let both = try unpacked(Self.first) + unpacked(Self.second)
    #expect(try documents(folder.write("a.txt.gz", both)) == ["alpha\nbeta\ngamma\n"])
  }

  @Test func gzip_damaged_isNamed() throws {
    let packed = try unpacked(Self.first)
    let short = try folder.write("short.txt.gz", packed.dropLast(9))
    #expect(
      message { _ = try documents(short) }
        == "\(short): the gzip member at byte 0 is cut short: the file ends at byte \(packed.count - 9)")
    var damaged = packed
    damaged[packed.count - 7] ^= 1
    let wrong = try folder.write("wrong.txt.gz", damaged)
    #expect(
      message { _ = try documents(wrong) }
        == "\(wrong): the gzip member at byte 0 is damaged at byte \(packed.count - 4): incorrect data check")
    let plain = try folder.write("plain.txt.gz", text: "text")
    #expect(message { _ = try documents(plain) } == "\(plain): is not a gzip file, though its name ends in .gz")
    let hidden = try folder.write("hidden.txt", packed)
    #expect(message { _ = try documents(hidden) } == "\(hidden): is a gzip file: give it a name that ends in .gz")
  }

  @Test func text_notUTF8_isNamed() throws {
    let text = try folder.write("a.txt", Array("é and ".utf8) + [0xC3, 0x28])
    #expect(message { _ = try documents(text) } == "\(text): byte 7 is 0xC3, which is not UTF-8")
    // A cut-off sequence that begins like U+FFFD is found at its start.
    let close = try folder.write("b.txt", [0x61, 0xEF, 0xBF])
    #expect(message { _ = try documents(close) } == "\(close): byte 1 is 0xEF, which is not UTF-8")
    let lines = try folder.write("a.jsonl", Array("{\"text\": \"a\"}\n{\"text\": \"".utf8) + [0xFF] + Array("\"}".utf8))
    #expect(message { _ = try documents(lines) } == "\(lines): byte 24 is 0xFF, which is not UTF-8")
  }

  @Test(arguments: [
    ("[1]", " is no object: expected one with a key 'text'"), ("{\"texts\": \"a\"}", ": there is no key 'text'"),
    ("{\"text\": 3}", ": text is 3: expected a string"), ("{\"text\": null}", ": text is null: expected a string"),
    ("{\"text\": \"a\\ud800\"}", ": text is a string with half of a surrogate pair: expected text"),
    ("{\"text\": \"a\"", ", column 13: malformed JSON: expected ',' or '}'"),
    ("{\"text\": \"a\"} x", ", column 15: malformed JSON: text after the end of the document"),
    ("{\"x\": tru, \"text\": \"a\"}", ", column 7: malformed JSON: expected a value"),
  ])
  func linesThatAreNoDocumentsAreNamed(line: String, problem: String) throws {
    let path = try folder.write("a.jsonl", text: "{\"text\": \"a\"}\n\n\(line)\n")
    #expect(message { _ = try documents(path) } == "\(path): line 3\(problem)")
  }

  @Test("unread keys may have any value, and the last of equal keys counts")
  func line_otherKeys() throws {
    let lines = [
      #"{"text": "first", "text": "second"}"#, #"{"text": 3, "text": "a", "id": 12345678901234567890123}"#,
      #"{"x": 1e999, "y": NaN, "z": "\ud83d", "\ud83d": {"text": 1}, "text": "b", "é": 1, "e\u0301": 2}"#,
    ]
    let path = try folder.write("a.jsonl", text: lines.joined(separator: "\n"))
    #expect(try documents(path) == ["second", "a", "b"])
  }

  @Test(
    "what a file of lines holds is told by the keys of its first line, whatever their values",
    arguments: [
      (#"{"messages": [], "id": 12345678901234567890, "x": 1e999, "y": NaN, "z": "\ud83d"}"#, true),
      ("\n \r\n" + #"{"messages": 3}"#, true), (#"{"text": "a", "messages": []}"#, false), (#"["messages"]"#, false),
      (#"{"m\u0065ssages": []}"#, true),
    ])
  func kind_firstLine(text: String, isConversations: Bool) throws {
    let file = try #require(TextFile(folder.write("a.jsonl", text: text)))
    #expect(try file.holdsConversations() == isConversations)
  }

  @Test("a gzip member is followed by another one, by zeros, or it is an error")
  func gzip_tail() throws {
    let (first, second) = (try unpacked(Self.first), try unpacked(Self.second))
    func read(_ bytes: Data) throws -> [String] { try documents(folder.write("a.txt.gz", bytes)) }
    let zeros = Data(count: 512)
    #expect(try read(first + zeros + second + zeros) == ["alpha\nbeta\ngamma\n"])
    #expect(try read(Data()) == [])
    // An empty member.
    let empty = try unpacked("H4sIAAAAAAAAAwMAAAAAAAAAAAA=")
    #expect(try read(empty) == [])
    #expect(try read(empty + second + empty) == ["gamma\n"])
    let path = folder("a.txt.gz")
    let place = "after the gzip member that ends at byte \(first.count) follows what is no gzip member"
    for (tail, shown) in [
      (Data("text".utf8), "74 65 78 74"), (zeros + Data("x".utf8), "78"), (Data([0x1F, 0]), "1F 0"),
    ] {
      let start = place.replacing("\(first.count)", with: "\(first.count + (tail.count > 500 ? 512 : 0))")
      #expect(
        message { _ = try read(first + tail) }
          == "\(path): \(start) (\(shown) in hexadecimal): expected another one or the end of the file")
    }
    for cut in [1, 5, 12, second.count - 1] {
      #expect(
        message { _ = try read(first + second.prefix(cut)) }
          == "\(path): the gzip member at byte \(first.count) is cut short: the file ends at byte \(first.count + cut)")
    }
    #expect(
      message { _ = try read(zeros + first) } == "\(path): is not a gzip file, though its name ends in .gz")
  }

  @Test("FIFOs and devices are skipped in folders and refused by name")
  func find_irregular() throws {
    try folder.write("good.txt", text: "x")
    #expect(mkfifo(folder("fifo.txt"), 0o600) == 0)
    for (name, target) in [("zero.jsonl", "/dev/zero"), ("lost.txt", "nowhere"), ("linked.txt", "good.txt")] {
      try FileManager.default.createSymbolicLink(atPath: folder(name), withDestinationPath: target)
    }
    try FileManager.default.createDirectory(atPath: folder("folder.txt"), withIntermediateDirectories: true)
    let found = try TextFile.find([folder.path])
    #expect(found.files.map { $0.path.dropFirst(folder.path.count + 1) } == ["good.txt", "linked.txt"])
    #expect(
      found.notes == [
        "\(folder("fifo.txt")): skipped, a FIFO", "\(folder("lost.txt")): skipped, a link that leads nowhere",
        "\(folder("zero.jsonl")): skipped, a device",
      ])
    #expect(
      message { _ = try TextFile.find([folder("fifo.txt")]) }
        == "\(folder("fifo.txt")): is a FIFO: expected a file or a folder")
    #expect(
      message { _ = try TextFile.find([folder("zero.jsonl")]) }
        == "\(folder("zero.jsonl")): is a device: expected a file or a folder")
    #expect(
      message { _ = try TextFile.find([folder("folder.txt")]) }.hasPrefix("\(folder("folder.txt")): no text found"))
    // If there is no other text, the reason names the skipped file.
    #expect(mkfifo(folder("folder.txt/fifo.jsonl"), 0o600) == 0)
    #expect(
      message { _ = try TextFile.find([folder("folder.txt")]) }
        .hasSuffix("; \(folder("folder.txt/fifo.jsonl")): skipped, a FIFO"))
    // A file that became a FIFO after it was found.
    let file = try #require(TextFile(folder("fifo.txt")))
    #expect(message { _ = try file.documents() } == "\(folder("fifo.txt")): is a FIFO: expected a file")
    #expect(message { _ = try file.checksum() } == "\(folder("fifo.txt")): is a FIFO: expected a file")
  }

  @Test("a line beyond the limit is refused with its number")
  func line_tooLong() throws {
    let path = try folder.write("a.jsonl", text: "\n\n")
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.seekToEnd()
    let piece = Data(repeating: 0x20, count: 1 << 20)
    for _ in 0...(TextReader.maximumLine >> 20) { try handle.write(contentsOf: piece) }
    try handle.close()
    #expect(
      message { _ = try documents(path) } == "\(path): line 3 has more than 67108864 bytes: expected at most that many")
  }

  @Test("messages escape control characters in names")
  func message_escapes() throws {
    let path = try folder.write("a\u{1B}[31m.txt", [0xFF])
    #expect(message { _ = try documents(path) } == "\(folder("a\\u{1b}[31m.txt")): byte 0 is 0xFF, which is not UTF-8")
  }

  @Test func blocks_endAtLines() throws {
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
