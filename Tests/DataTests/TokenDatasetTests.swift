import Foundation
import TestSupport
import Testing
import WidebandTorch

@testable import WidebandData

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

  @Test func batch_everyWindowOncePerEpoch() throws {
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

  @Test func batch_targetsAreNextTokens() throws {
    let dataset = try dataset()
    let all = try allTokens(dataset)
    for batch in [try dataset.batch(step: 3, rows: 4, length: 9, seed: 1)]
      + Array(try dataset.validationBatches(rows: 4, length: 9))
    {
      #expect(batch.tokens.dtype == .int64 && batch.targets.shape == batch.tokens.shape)
      let (tokens, targets) = (try batch.tokens.elements(Int64.self), try batch.targets.elements(Int64.self))
      for start in stride(from: 0, to: tokens.count, by: 9) {
        let row = Array(tokens[start..<(start + 9)])
        // The last row of a split may end before its length: padding has no targets.
        let known = targets[start..<(start + 9)].prefix { $0 != -100 }
        #expect(targets[start..<(start + 9)].dropFirst(known.count).allSatisfy { $0 == -100 })
        #expect(Array(known.dropLast()) == Array(row[1..<known.count]))
        #expect(all.indices.contains { all[$0...].starts(with: row.prefix(known.count) + known.suffix(1)) })
      }
    }
  }

  @Test func batch_dependsOnStepOnly() throws {
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
    // Rows are numbered over the whole run, so two half batches equal one batch.
    let halves = try (0..<80).map { try rows(dataset.batch(step: $0, rows: 3, length: 8, seed: 9)) }
    #expect(try rows(dataset.batch(step: 7, rows: 6, length: 8, seed: 9)) == halves[14] + halves[15])
  }

  @Test func validation_coversTheSplitInOrder() throws {
    let dataset = try dataset()
    let tokens = try allTokens(dataset)
    for length in [16, 17, tokens.count - 1, tokens.count, 1000] {
      let windows = (tokens.count - 2) / length + 1
      let batches = Array(try dataset.validationBatches(rows: 4, length: length))
      let padding = windows * length - (tokens.count - 1)
      #expect(
        try batches.flatMap { try rows($0) }.flatMap { $0 }
          == tokens.dropLast() + [Int64](repeating: 256, count: padding))
      #expect(
        try batches.flatMap { try $0.targets.elements(Int64.self) }
          == tokens.dropFirst() + [Int64](repeating: -100, count: padding))
      #expect(
        batches.map { $0.tokens.size(0) } == [Int](repeating: 4, count: windows / 4)
          + (windows % 4 > 0 ? [windows % 4] : []))
    }
    #expect(Array(try dataset.validationBatches(rows: 4, length: 16, limit: 100)).map { $0.tokens.size(0) } == [4, 2])
    #expect(Array(try dataset.validationBatches(rows: 4, length: 16, limit: 1)).map { $0.tokens.size(0) } == [1])
  }

  @Test func byteLengths_areRead() throws {
    let lengths = try dataset().byteLengths
    #expect(lengths.shape == [257] && lengths.dtype == .int64)
    #expect(try lengths.sum().item() == 256)
  }

  @Test func split_tooShort_isNamed() throws {
    let dataset = try dataset(documents: 2)
    #expect(
      message { _ = try dataset.batch(step: 0, rows: 1, length: 13, seed: 0) }
        == "\(data): the train split has 13 tokens: expected at least 14 for sequences of 13")
    #expect(try dataset.windowCount(length: 12) == 1)
    let empty = try TokenDataset(folder: data, split: .validation)
    #expect(
      message { _ = try empty.validationBatches(rows: 1, length: 8) }
        == "\(data): the validation split has 0 tokens: expected at least 2 to measure a loss")
    #expect(empty.isEmpty && !dataset.isEmpty)
    #expect(try Array(dataset.validationBatches(rows: 1, length: 100)).map(\.tokens.shape) == [[1, 100]])
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

  @Test func check_otherTokenizerOrModel_isRefused() throws {
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

  @Test("damaged byte lengths, or others than the tokenizer's, are named")
  func byteLengths_damaged() throws {
    let opened = try dataset()
    let path = folder("data/token_bytes.npy")
    func failure(_ lengths: [Int]) throws -> String {
      try FileManager.default.removeItem(atPath: path)
      let writer = try TokenArrayWriter(path, .int64)
      try writer.append(lengths)
      try writer.finish()
      return message { _ = try TokenDataset(folder: data, split: .train) }
    }
    let good = ByteEncoder().byteLengths
    #expect(try failure(good) == "no error")
    #expect(
      try failure(good.dropLast() + [-1])
        == "\(path): token 256 stands for -1 bytes: expected 0 to 2147483647")
    #expect(
      try failure([.max] + good.dropFirst())
        == "\(path): token 0 stands for 9223372036854775807 bytes: expected 0 to 2147483647")
    #expect(
      try failure(good.map { _ in 0 })
        == "\(path): token 0 and all others stand for 0 bytes: expected some that stand for text")
    try opened.check(byteLengths: good)
    #expect(
      message { try opened.check(byteLengths: [1, 0] + good.dropFirst(2)) }
        == "\(path): token 1 stands for 1 bytes: expected 0, as the tokenizer says")
  }

  @Test("document starts are checked, although training does not use them")
  func boundaries_damaged() throws {
    let description = try dataset().description
    let path = folder("data/train-00000.boundaries.npy")
    let starts = try TokenArray(path, expecting: [.int64]).elements
    func failure(_ starts: [Int64]) throws -> String {
      try FileManager.default.removeItem(atPath: path)
      let writer = try TokenArrayWriter(path, .int64)
      try writer.append(starts)
      try writer.finish()
      return message { _ = try TokenDataset(folder: data, split: .train) }
    }
    #expect(try failure(starts) == "no error")
    #expect(
      try failure(starts + [7])
        == "\(path): has \(starts.count + 1) documents, but data.json says \(description.train.shards[0].documents)")
    let wrong = "\(path): does not hold rising positions of documents in \(description.train.shards[0].tokens) tokens"
    for damaged in [
      [1] + starts.dropFirst(), [-1] + starts.dropFirst(), [0, 0] + starts.dropFirst(2), starts.dropLast() + [50],
    ] { #expect(try failure(Array(damaged)) == wrong) }
  }

  @Test func folder_damaged_isNamed() throws {
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
    let sentence = "\(shard): token 3 is 32767: expected an id less than the vocabulary's 257"
    #expect(message { _ = try opened.validationBatches(rows: 2, length: 4) } == sentence)
    #expect(
      message { for step in 0..<100 { _ = try opened.batch(step: step, rows: 8, length: 4, seed: 0) } } == sentence)
  }

  @Test func description_damaged_isNamed() throws {
    _ = try dataset()
    let json = try folder.read("data/data.json")
    func failure(_ text: String) throws -> String {
      try folder.write("data/data.json", text: text)
      return message { _ = try TokenDataset(folder: data, split: .train) }
    }
    let path = folder("data/data.json")
    #expect(try failure("{") == "\(path): line 1, column 2: malformed JSON: expected a string")
    #expect(try failure("{}") == "\(path): format_version is missing")
    #expect(try failure("[]") == "\(path): the document is a list: expected an object")
    #expect(
      try failure(json.replacing("\"format_version\" : 1", with: "\"format_version\" : 2"))
        == "\(path): format_version is 2: expected 1; prepare the data again")
    #expect(
      try failure(json.replacing("\"vocabulary_size\"", with: "\"x\"")) == "\(path): vocabulary_size is missing")
    func failure(_ key: String, _ value: String) throws -> String {
      try failure(json.replacing(try Regex("\"\(key)\" : [^,\n]*"), with: "\"\(key)\" : \(value)", maxReplacements: 1))
        .replacing("\(path): ", with: "")
    }
    #expect(try failure("end_of_text", "-1") == "end_of_text is -1: expected an integer from 0 to 256")
    #expect(try failure("end_of_text", "257") == "end_of_text is 257: expected an integer from 0 to 256")
    #expect(
      try failure("end_of_text", "1e30") == "end_of_text is 1e30: expected an integer")
    #expect(try failure("vocabulary_size", "0") == "vocabulary_size is 0: expected an integer from 1 to 16777216")
    #expect(
      try failure("vocabulary_size", "9223372036854775807")
        == "vocabulary_size is 9223372036854775807: expected an integer from 1 to 16777216")
    #expect(
      try failure("file", "\"../a.npy\"")
        == "train.shards[0] names the file '../a.npy': expected the name of a file in this folder")
    #expect(
      try failure("form", "\"x\"") == "no error", "data of text has no such key")
    #expect(
      try failure(json.replacing("\"format_version\"", with: "\"form\": \"pictures\", \"format_version\""))
        == "\(path): form is 'pictures': expected one of conversations")
    #expect(
      try failure(json.replacing("\"format_version\"", with: "\"form\": \"conversations\", \"format_version\""))
        == "\(path): train.shards[0] has no file of answers")
    // The last of equal keys counts.
    #expect(
      try failure(json.replacing("\"end_of_text\"", with: "\"end_of_text\": -1, \"end_of_text\"")) == "no error")
    var description = try
      ({ () throws in
        try folder.write("data/data.json", text: json)
        return try DataDescription.read(from: data)
      })()
    description.train.tokens += 1
    try description.write(to: data)
    #expect(
      message { _ = try TokenDataset(folder: data, split: .train) }
        == "\(path): train.tokens is \(description.train.tokens): expected the sum of its shards' tokens")
    description.train.shards[0].tokens = .max
    try description.write(to: data)
    #expect(
      message { _ = try TokenDataset(folder: data, split: .train) }
        == "\(path): train.shards[0].tokens is \(Int.max): expected an integer from 1 to 9007199254740992")
    try FileManager.default.removeItem(atPath: path)
    #expect(
      message { _ = try TokenDataset(folder: data, split: .train) }
        == "\(data): holds no prepared data: there is no data.json")
  }
}
