import Foundation
import TestSupport
import Testing
import WidebandCheckedInput
import WidebandTokenization

@testable import WidebandData

@Suite struct DataPreparationTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func lines(_ count: Int) -> String {
    (0..<count).map { "{\"text\": \"document number \($0)\"}\n" }.joined()
  }

  @discardableResult
  private func prepare(
    _ names: [String], encoder: ByteEncoder = ByteEncoder(),
    _ change: (inout DataPreparation.Options) -> Void = { _ in }
  ) throws -> DataPreparation.Outcome {
    var options = DataPreparation.Options()
    change(&options)
    return try DataPreparation(names.map { folder($0) }, encoder: encoder, options: options).run(into: folder("data"))
  }

  /// The documents of a split, cut at the stored starts.
  private func documents(_ split: TokenDataset.Split) throws -> [String] {
    let description = try DataDescription.read(from: folder("data"))
    return try description[split].shards.flatMap { shard in
      let tokens = try TokenArray(folder("data/\(shard.tokensFile)"), expecting: [.uint16]).elements
      let starts = try TokenArray(folder("data/\(shard.startsFile)"), expecting: [.int64]).elements.map { Int($0) }
      return zip(starts, starts.dropFirst() + [tokens.count]).map { start, end in
        #expect(tokens[end - 1] == 256)
        return String(decoding: tokens[start..<(end - 1)].map { UInt8($0) }, as: UTF8.self)
      }
    }
  }

  @Test("the example in the documentation of DataPreparation prepares text with a Tokenizer")
  func example_tokenizer() throws {
    try folder.write("corpus/a.txt", text: String(repeating: "In the beginning was the word.\n", count: 50))
    let line = #"{"text": "And the light shineth"}"#
    try folder.write("more.jsonl", text: "\(line)\n\(line)\n")
    let trained = try BytePairTrainer(vocabularySize: 300).train([Array("the beginning the light".utf8)])
    for file in trained.files { try folder.write(file.name, file.content) }
    let tokenizer = try Tokenizer(contentsOf: URL(filePath: folder("tokenizer.json")))
    let outcome = try DataPreparation([folder("corpus"), folder("more.jsonl")], encoder: tokenizer)
      .run(into: folder("data"))
    let dataset = try TokenDataset(folder: folder("data"), split: .train)
    try dataset.check(fingerprint: tokenizer.fingerprint, vocabularySize: tokenizer.vocabularySize)
    try dataset.check(byteLengths: tokenizer.byteLengths)
    #expect(outcome.description.endOfText == 0 && tokenizer.byteLengths[0] == 0)
    #expect(outcome.description.train.tokens > 50)
  }

  @Test("a tokenizer without an end of text is refused")
  func tokenizer_withoutEndOfText() throws {
    try folder.write("a.txt", text: "text")
    let tokenizer = try BytePairTrainer(vocabularySize: 260, specialTokens: []).train([Array("text".utf8)]).tokenizer()
    #expect(
      message { try DataPreparation([folder("a.txt")], encoder: tokenizer) }
        == "the tokenizer has no token that ends a text: expected one of <|endoftext|>, <|end_of_text|>, </s>, "
        + "<|im_end|>")
  }

  @Test func split_holdsOutWholeDocuments() throws {
    try folder.write("a.jsonl", text: lines(200))
    let description = try prepare(["a.jsonl"]).description
    let (train, held) = (try documents(.train), try documents(.validation))
    #expect(held.count == 10 && train.count == 190)
    #expect(Set(train + held) == Set((0..<200).map { "document number \($0)" }))
    #expect(train.first == "document number 0" || held.first == "document number 0")
    #expect(description.train.documents == 190 && description.validation.documents == 10)
    #expect(description.train.bytes == train.reduce(0) { $0 + $1.utf8.count })
    #expect(description.train.tokens == description.train.bytes + 190)
    #expect(description.vocabularySize == 257 && description.fingerprint == "bytes")
    #expect(
      try TokenArray(folder("data/token_bytes.npy"), expecting: [.int64]).elements == [Int64](repeating: 1, count: 256)
        + [0])
    #expect(
      try folder.names("data") == [
        "data.json", "token_bytes.npy", "train-00000.boundaries.npy", "train-00000.npy",
        "validation-00000.boundaries.npy", "validation-00000.npy",
      ])
  }

  @Test func split_singleText_holdsOutBlocks() throws {
    let text = (0..<40_000).map { "In line \($0) there is this.\n" }.joined()
    try folder.write("a.txt", text: text)
    let description = try prepare(["a.txt"]).description
    let (train, held) = (try documents(.train), try documents(.validation))
    let share = Double(description.validation.bytes) / Double(text.utf8.count)
    #expect((0.04...0.06).contains(share))
    #expect(held.allSatisfy { (16_384..<16_500).contains($0.utf8.count) && $0.hasSuffix("\n") })
    // A training span ends where a held-out block begins.
    #expect(train.count == held.count + 1)
    #expect(zip(train, held + [""]).map { $0 + $1 }.joined() == text)
  }

  @Test("held-out files are the validation part, whole, and count when data are up to date") func split_heldOutFiles()
    throws
  {
    try folder.write("a.txt", text: "one\n")
    try folder.write("b.jsonl", text: lines(3))
    try folder.write("held/c.txt", text: "three\n")
    var options = DataPreparation.Options()
    func preparation(heldOut: [String], _ paths: [String]) throws -> DataPreparation {
      try DataPreparation(paths.map { folder($0) }, heldOut: heldOut, encoder: ByteEncoder(), options: options)
    }
    #expect(
      message { _ = try preparation(heldOut: [folder("held")], ["a.txt"]) }
        == "validation fraction 0.05: expected 0 with files that are held out as a whole")
    options.validationFraction = 0
    let outcome = try preparation(heldOut: [folder("held")], ["a.txt", "b.jsonl"]).run(into: folder("data"))
    #expect(outcome.notes.isEmpty)
    #expect(try documents(.train) == ["one\n"] + (0..<3).map { "document number \($0)" })
    #expect(try documents(.validation) == ["three\n"])
    #expect(try preparation(heldOut: [folder("held")], ["a.txt", "b.jsonl"]).run(into: folder("data")).wasUpToDate)
    #expect(
      message { _ = try preparation(heldOut: [folder("held")], ["a.txt", "held"]) }
        == "\(folder("held/c.txt")): is held out, and among the files to train on: expected one of them")
    // The same files, all to train on.
    #expect(
      message { _ = try preparation(heldOut: [], ["a.txt", "b.jsonl", "held"]).run(into: folder("data")) } != nil)
  }

  @Test func split_fractionZero() throws {
    try folder.write("a.txt", text: "one\n")
    try folder.write("b.txt", text: "two\n")
    let description = try prepare(["a.txt", "b.txt"]) { $0.validationFraction = 0 }.description
    #expect(try documents(.train) == ["one\n", "two\n"])
    #expect(description.validation == DataDescription.Split())
  }

  @Test func shards_endBetweenDocuments() throws {
    try folder.write("a.jsonl", text: lines(30))
    let description = try prepare(["a.jsonl"]) { ($0.tokensPerShard, $0.validationFraction) = (100, 0) }.description
    #expect(description.train.shards.count == 6)
    #expect(description.train.shards.allSatisfy { $0.tokens <= 100 && $0.tokens > 80 })
    #expect(description.train.shards.map(\.tokensFile).last == "train-00005.npy")
    #expect(try documents(.train) == (0..<30).map { "document number \($0)" })
  }

  @Test func shards_largeVocabulary_isUInt32() throws {
    try folder.write("a.txt", text: "text")
    try prepare(["a.txt"], encoder: ByteEncoder(vocabularySize: 65_537, endOfText: 65_536)) {
      $0.validationFraction = 0
    }
    let tokens = try TokenArray(folder("data/train-00000.npy"), expecting: [.uint32]).elements
    #expect(tokens == [116, 101, 120, 116, 65_536])
  }

  @Test func run_again_isUpToDate() throws {
    try folder.write("a.jsonl", text: lines(200))
    #expect(try !prepare(["a.jsonl"]).wasUpToDate)
    let before = try FileManager.default.attributesOfItem(atPath: folder("data/data.json"))[.modificationDate] as? Date
    // Files are compared by content, not by their modification date.
    try folder.write("a.jsonl", text: lines(200))
    let again = try prepare(["a.jsonl"])
    #expect(again.wasUpToDate)
    #expect(again.description.train.documents == 190)
    let after = try FileManager.default.attributesOfItem(atPath: folder("data/data.json"))[.modificationDate] as? Date
    #expect(before == after)
    #expect(try folder.names() == ["a.jsonl", "data"])
  }

  @Test(arguments: [".hidden", "notes.md"]) func run_otherFolder_isRefused(name: String) throws {
    try folder.write("a.jsonl", text: lines(200))
    try FileManager.default.createDirectory(atPath: folder("data"), withIntermediateDirectories: false)
    try folder.write("data/\(name)", text: "mine")
    #expect(
      message { try prepare(["a.jsonl"]) } == "\(folder("data")): holds other files; choose a new or empty folder")
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder("data")) == [name])
  }

  @Test func run_otherData_isRefused() throws {
    try folder.write("a.jsonl", text: lines(200))
    try prepare(["a.jsonl"])
    func refusal(_ what: String) -> String {
      "\(folder("data")): holds data prepared \(what); remove it or choose another folder"
    }
    #expect(message { try prepare(["a.jsonl"]) { $0.seed = 1 } } == refusal("with other options"))
    #expect(
      message { try prepare(["a.jsonl"], encoder: ByteEncoder(fingerprint: "x")) } == refusal("with another tokenizer"))
    try folder.write("a.jsonl", text: lines(201))
    #expect(message { try prepare(["a.jsonl"]) } == refusal("from other text"))
    try FileManager.default.removeItem(atPath: folder("data/data.json"))
    #expect(
      message { try prepare(["a.jsonl"]) } == "\(folder("data")): holds other files; choose a new or empty folder")
    try FileManager.default.removeItem(atPath: folder("data"))
    try folder.write("data", text: "")
    #expect(message { try prepare(["a.jsonl"]) } == "\(folder("data")): is a file: expected a folder")
  }

  @Test func run_failure_leavesNothing() throws {
    try folder.write("a.txt", text: "good\n")
    try folder.write("b.txt", [0x61, 0xFF])
    #expect(message { try prepare(["a.txt", "b.txt"]) } == "\(folder("b.txt")): byte 1 is 0xFF, which is not UTF-8")
    #expect(try folder.names() == ["a.txt", "b.txt"])
    try FileManager.default.createDirectory(atPath: folder("data"), withIntermediateDirectories: true)
    try prepare(["a.txt"])
    #expect(try folder.names() == ["a.txt", "b.txt", "data"])
  }

  @Test func run_invalidArguments_areNamed() throws {
    try folder.write("a.txt", text: "")
    try folder.write("b.txt", text: "text")
    #expect(message { try prepare(["a.txt"]) } == "\(folder("a.txt")): the corpus is empty: there is no text in it")
    #expect(message { try prepare(["b.txt"]) { $0.tokensPerShard = 0 } } == "tokens per shard 0: expected at least 1")
    #expect(
      message { try prepare(["b.txt"], encoder: ByteEncoder(vocabularySize: 100)) }
        == "the tokenizer gave the token id 116: expected 0 to 99")
  }

  @Test(
    "a fraction out of range is refused",
    arguments: [-1e-19, -0.1, .nan, .infinity, 1, 0.9999999])
  func fraction_outOfRange(fraction: Double) throws {
    try folder.write("b.txt", text: "text")
    #expect(
      message { try prepare(["b.txt"]) { $0.validationFraction = fraction } }
        == "validation fraction \(fraction): expected from 0 to 0.999999")
  }

  @Test("fractions at the bounds are valid", arguments: [1e-300, 1e-19, 1e-18, 1e-6, 0.999999])
  func fraction_bounds(fraction: Double) throws {
    try folder.write("a.txt", text: String(repeating: "A line of text.\n", count: 100))
    let outcome = try prepare(["a.txt"]) { $0.validationFraction = fraction }
    #expect(outcome.description.train.bytes + outcome.description.validation.bytes == 1600)
    let isEmpty = outcome.description.validation.tokens == 0
    #expect(
      outcome.notes == (isEmpty ? ["nothing is held out: there is too little text to take \(fraction) of it"] : []))
  }

  @Test("an error of the tokenizer names the text")
  func encode_failure() throws {
    struct Failing: TextEncoder {
      let bytes = ByteEncoder()
      let vocabularySize = 257
      let fingerprint = "failing"
      let endOfText: TokenID = 256
      let endOfAnswer: TokenID? = nil
      var byteLengths: [Int] { bytes.byteLengths }
      func encode(document: [UInt8]) throws -> [TokenID] {
        if document.contains(0x21) { throw DataError.invalidArgument("the pattern fails") }
        return bytes.encode(document: document)
      }
      func encode(conversation json: [UInt8], file: String, line: Int) throws -> EncodedDocument {
        throw DataError.invalidArgument("no conversations")
      }
    }
    let lines = try folder.write("a.jsonl", text: "{\"text\": \"a\"}\n\n{\"text\": \"!\"}\n")
    let text = try folder.write("b.txt", text: "!")
    func failure(_ path: String) -> String {
      message { _ = try DataPreparation([path], encoder: Failing()).run(into: folder("data")) }
    }
    #expect(failure(lines) == "\(lines): line 3: the pattern fails")
    #expect(failure(text) == "\(text): the text from byte 0 on: the pattern fails")
    #expect(try folder.names() == ["a.jsonl", "b.txt"])
  }

  @Test("errors are distinguished by their case")
  func errors_cases() throws {
    #expect(throws: DataError.unreadable(folder("none.txt"), "no such file or folder")) { try prepare(["none.txt"]) }
    try folder.write("empty.txt", text: "")
    #expect(throws: DataError.insufficientText(folder("empty.txt"), "the corpus is empty: there is no text in it")) {
      try prepare(["empty.txt"])
    }
    try folder.write("data", text: "")
    try folder.write("a.txt", text: "text")
    #expect(throws: DataError.exists(folder("data"), "is a file: expected a folder")) { try prepare(["a.txt"]) }
  }

  @Test func progress_isMonotonic() throws {
    try folder.write("a.txt", text: String(repeating: "A line of text.\n", count: 600_000))
    var reports: [DataPreparation.Progress] = []
    let preparation = try DataPreparation([folder("a.txt")], encoder: ByteEncoder())
    let outcome = try preparation.run(into: folder("data")) { reports.append($0) }
    #expect(reports.count >= 3)
    #expect(zip(reports, reports.dropFirst()).allSatisfy { $0.bytesRead <= $1.bytesRead && $0.tokens <= $1.tokens })
    #expect(reports.last?.bytesRead == 9_600_000 && reports.last?.bytesToRead == 9_600_000)
    #expect(reports.last?.tokens == outcome.description.train.tokens + outcome.description.validation.tokens)
  }
}
