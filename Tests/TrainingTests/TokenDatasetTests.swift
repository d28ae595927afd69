import Foundation
import Testing
import Torch

@testable import Training

@Suite struct TokenDatasetTests {
  private let folder: TemporaryFolder
  private var data: String { folder("data") }

  init() throws { folder = try TemporaryFolder() }

  /// Prepares digits and letters in several shards, so that windows cross from one to the next.
  private func dataset(documents: Int = 60) throws -> TokenDataset {
    let lines = (0..<documents).map { "{\"text\": \"\(String(repeating: "\($0 % 10)", count: 5 + $0 % 7))\"}\n" }
    try folder.write("a.jsonl", text: lines.joined())
    var options = DataPreparation.Options()
    (options.validationFraction, options.tokensPerShard) = (0, 50)
    _ = try DataPreparation([folder("a.jsonl")], encoder: ByteEncoder(), options: options).run(into: data)
    return try TokenDataset(folder: data, split: .train)
  }

  private func allTokens(_ dataset: TokenDataset) throws -> [Int64] {
    try dataset.description.train.shards.flatMap {
      try TokenArray("\(data)/\($0.tokensFile)", expecting: [.uint16]).elements
    }
  }

  private func rows(_ batch: Batch) throws -> [[Int64]] {
    let tokens = try batch.tokens.elements(Int64.self)
    let length = batch.tokens.size(1)
    return stride(from: 0, to: tokens.count, by: length).map { Array(tokens[$0..<($0 + length)]) }
  }

  @Test func everyWindowComesOnceAnEpoch() throws {
    let dataset = try dataset()
    let tokens = try allTokens(dataset)
    #expect(dataset.description.train.shards.count > 5)
    let windows = try dataset.windowCount(length: 8)
    #expect(windows == (tokens.count - 1) / 8)
    let expected = (0..<windows).map { Array(tokens[($0 * 8)..<($0 * 8 + 8)]) }
    // One row a step, so that an epoch ends with a step.
    var epochs: Set<[[Int64]]> = []
    for epoch in 0..<3 {
      let seen = try (0..<windows).map { step in
        try rows(dataset.batch(step: epoch * windows + step, rows: 1, length: 8, seed: 5))[0]
      }
      #expect(seen != expected)
      #expect(seen.sorted { $0.lexicographicallyPrecedes($1) } == expected.sorted { $0.lexicographicallyPrecedes($1) })
      epochs.insert(seen)
    }
    #expect(epochs.count == 3)
  }

  @Test func targetsAreTheNextTokens() throws {
    let dataset = try dataset()
    let all = try allTokens(dataset)
    for batch in [try dataset.batch(step: 3, rows: 4, length: 9, seed: 1)]
      + Array(try dataset.validationBatches(rows: 4, length: 9))
    {
      #expect(batch.tokens.dtype == .int64 && batch.targets.shape == batch.tokens.shape)
      let (tokens, targets) = (try batch.tokens.elements(Int64.self), try batch.targets.elements(Int64.self))
      for start in stride(from: 0, to: tokens.count, by: 9) {
        let row = Array(tokens[start..<(start + 9)])
        #expect(Array(targets[start..<(start + 8)]) == Array(row.dropFirst()))
        #expect(all.indices.contains { all[$0...].starts(with: row + [targets[start + 8]]) })
      }
    }
  }

  @Test func aStepIsAPureFunctionOfItsNumber() throws {
    let dataset = try dataset()
    func batch(_ step: Int, seed: UInt64 = 9) throws -> [[Int64]] {
      try rows(dataset.batch(step: step, rows: 3, length: 8, seed: seed))
    }
    let forwards = try (0..<40).map { try batch($0) }
    let reopened = try TokenDataset(folder: data, split: .train)
    for step in (0..<40).reversed() {
      #expect(try batch(step) == forwards[step])
      #expect(try rows(reopened.batch(step: step, rows: 3, length: 8, seed: 9)) == forwards[step])
    }
    #expect(try (0..<40).map { try batch($0, seed: 10) } != forwards)
    // Rows are numbered through the run, so that two half batches make the same step.
    let halves = try (0..<80).map { try rows(dataset.batch(step: $0, rows: 3, length: 8, seed: 9)) }
    #expect(try rows(dataset.batch(step: 7, rows: 6, length: 8, seed: 9)) == halves[14] + halves[15])
  }

  @Test func validationCoversTheSplitInOrder() throws {
    let dataset = try dataset()
    let tokens = try allTokens(dataset)
    let windows = try dataset.windowCount(length: 16)
    let batches = Array(try dataset.validationBatches(rows: 4, length: 16))
    #expect(try batches.flatMap { try rows($0) }.flatMap { $0 } == Array(tokens[..<(windows * 16)]))
    #expect(
      batches.map { $0.tokens.size(0) } == [Int](repeating: 4, count: windows / 4)
        + (windows % 4 > 0 ? [windows % 4] : []))
    #expect(Array(try dataset.validationBatches(rows: 4, length: 16, limit: 100)).map { $0.tokens.size(0) } == [4, 2])
    #expect(Array(try dataset.validationBatches(rows: 4, length: 16, limit: 1)).map { $0.tokens.size(0) } == [1])
  }

  @Test func byteLengthsAreThere() throws {
    let lengths = try dataset().byteLengths
    #expect(lengths.shape == [257] && lengths.dtype == .int64)
    #expect(try lengths.sum().item() == 256)
  }

  @Test func tooShortACorpusIsNamed() throws {
    let dataset = try dataset(documents: 2)
    #expect(
      message { _ = try dataset.batch(step: 0, rows: 1, length: 13, seed: 0) }
        == "\(data): the train split has 13 tokens, expected at least 14 for sequences of 13")
    #expect(try dataset.windowCount(length: 12) == 1)
    let empty = try TokenDataset(folder: data, split: .validation)
    #expect(
      message { _ = try empty.validationBatches(rows: 1, length: 8) }
        == "\(data): the validation split has 0 tokens, expected at least 9 for sequences of 8")
    #expect(
      message { _ = try dataset.batch(step: 0, rows: 1, length: 0, seed: 0) }
        == "sequence length 0: expected at least 1")
    #expect(
      message { _ = try dataset.batch(step: -1, rows: 2, length: 4, seed: 0) }
        == "batch -1 of 2 rows: expected a step from 0 on and at least 1 row")
    #expect(
      message { _ = try dataset.batch(step: .max, rows: 2, length: 4, seed: 0) }
        == "batch \(Int.max) of 2 rows: expected a step from 0 on and at least 1 row")
  }

  @Test func anotherTokenizerOrModelIsRefused() throws {
    let dataset = try dataset()
    try dataset.check(fingerprint: "bytes", vocabularySize: 257)
    try dataset.check(fingerprint: "bytes", vocabularySize: 512)
    #expect(
      message { try dataset.check(fingerprint: "other", vocabularySize: 257) }
        == "\(data): was prepared with the tokenizer bytes, not with other; prepare the data again")
    #expect(
      message { try dataset.check(fingerprint: "bytes", vocabularySize: 256) }
        == "\(data): has a vocabulary of 257 tokens, the model has 256")
  }

  @Test func damagedFoldersAreNamed() throws {
    _ = try dataset()
    func failure() -> String { message { _ = try TokenDataset(folder: data, split: .train) } }
    let shard = folder("data/train-00001.npy")
    let bytes = try #require(FileManager.default.contents(atPath: shard))
    let writer = try TokenArrayWriter(folder("short.npy"), .uint16)
    try writer.append([1, 2])
    try writer.finish()
    try folder.write("data/train-00001.npy", try #require(FileManager.default.contents(atPath: folder("short.npy"))))
    let count = try DataDescription.read(from: data).train.shards[1].tokens
    #expect(failure() == "\(shard): has 2 tokens, but data.json says \(count)")
    try FileManager.default.removeItem(atPath: shard)
    #expect(failure() == "\(shard): no such file")
    var wrong = bytes
    wrong.replaceSubrange(134..<136, with: [0xFF, 0x7F])
    try folder.write("data/train-00001.npy", wrong)
    let opened = try TokenDataset(folder: data, split: .train)
    let sentence = "\(shard): token 3 is 32767, expected an id less than the vocabulary's 257"
    #expect(message { _ = try opened.validationBatches(rows: 2, length: 4) } == sentence)
    #expect(
      message { for step in 0..<100 { _ = try opened.batch(step: step, rows: 8, length: 4, seed: 0) } } == sentence)
  }

  @Test func damagedDescriptionsAreNamed() throws {
    _ = try dataset()
    let json = try folder.read("data/data.json")
    func failure(_ text: String) throws -> String {
      try folder.write("data/data.json", text: text)
      return message { _ = try TokenDataset(folder: data, split: .train) }
    }
    let path = folder("data/data.json")
    #expect(
      try failure("{") == "\(path): is not a description of prepared data: there is no number \"format_version\"")
    #expect(
      try failure(json.replacing("\"format_version\" : 1", with: "\"format_version\" : 2"))
        == "\(path): has the format version 2, expected 1; prepare the data again")
    #expect(
      try failure(json.replacing("\"vocabulary_size\"", with: "\"x\""))
        == "\(path): is damaged: there is no \"vocabulary_size\"; prepare the data again")
    try FileManager.default.removeItem(atPath: path)
    #expect(
      message { _ = try TokenDataset(folder: data, split: .train) }
        == "\(data): holds no prepared data: there is no data.json")
  }
}
