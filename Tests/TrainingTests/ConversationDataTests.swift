import Foundation
import TestSupport
import Testing
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandData
@testable import WidebandTraining

/// Conversations from lines of JSON to packed rows.
@Suite struct ConversationDataTests {
  private let folder: TemporaryFolder
  private var data: String { folder("data") }

  init() throws { folder = try TemporaryFolder() }

  /// Writes and prepares conversations, each of alternating questions and answers.
  private func prepare(
    _ conversations: [[String]], fraction: Double = 0, tokensPerShard: Int = 100
  ) throws -> DataDescription {
    let lines = try conversations.map { String(decoding: try JSONEncoder().encode(["messages": $0]), as: UTF8.self) }
    try folder.write("chat.jsonl", text: lines.joined(separator: "\n\n"))
    var options = DataPreparation.Options()
    (options.validationFraction, options.tokensPerShard) = (fraction, tokensPerShard)
    return try DataPreparation([folder("chat.jsonl")], encoder: ByteEncoder(), options: options).run(into: data)
      .description
  }

  private func dataset(_ conversations: [[String]], tokensPerShard: Int = 100) throws -> TokenDataset {
    _ = try prepare(conversations, tokensPerShard: tokensPerShard)
    return try TokenDataset(folder: data, split: .train)
  }

  private func rows(_ tensor: Tensor?) throws -> [[Int64]] {
    let tensor = try #require(tensor)
    let values = try tensor.elements(Int64.self)
    return stride(from: 0, to: values.count, by: tensor.size(1)).map { Array(values[$0..<($0 + tensor.size(1))]) }
  }

  @Test("a batch of conversations has targets and anchors in answers alone") func batch_ofConversations() throws {
    let dataset = try dataset([["ab", "cd", "e", "f"], ["xy", "z"]])
    #expect(dataset.description.documentKind == .conversations)
    #expect(dataset.description.endOfText == 256)
    #expect(dataset.description.train.documents == 2)
    #expect(dataset.description.train.bytes == 9)
    let batch = try #require(Array(dataset.validationBatches(rows: 2, length: 12)).first)
    let end: Int64 = 256
    let (a, x): (Int64, Int64) = (97, 120)
    // a b|c d <end>|e|f <end> and x y|z <end>; the last token of each is a target alone.
    #expect(try rows(batch.tokens) == [[a, a + 1, a + 2, a + 3, end, a + 4, a + 5, x, x + 1, x + 2, end, end]])
    #expect(
      try rows(batch.targets)
        == [[-100, a + 2, a + 3, end, -100, a + 5, end, -100, x + 2, end, -100, -100]])
    #expect(try rows(batch.packing?.positions) == [[0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 0, 1]])
    #expect(try rows(batch.packing?.documents) == [[0, 0, 0, 0, 0, 0, 0, 1, 1, 1, -1, -1]])
    #expect(try rows(batch.packing?.anchors) == [[-1, -1, 2, 2, 2, -1, 6, -1, -1, 9, -1, -1]])
  }

  @Test("a long conversation is truncated, and one whose answer begins after the row is left out")
  func conversations_long() throws {
    let dataset = try dataset([["ab", "cdefghij"], ["abcdefgh", "i"]])
    let batch = try #require(Array(dataset.validationBatches(rows: 9, length: 5)).first)
    #expect(try rows(batch.tokens) == [[97, 98, 99, 100, 101]])
    #expect(try rows(batch.targets) == [[-100, 99, 100, 101, 102]])
    #expect(
      message { _ = try dataset.windowCount(length: 1) }
        == "\(data): the train split has no conversation with an answer that begins within 1 tokens")
  }

  private var many: [[String]] {
    (0..<50).map { ["q\($0)" + String(repeating: "?", count: $0 % 7), "a" + String(repeating: "!", count: $0 % 11)] }
  }

  @Test("every conversation occurs once per epoch") func epoch_conversations() throws {
    let dataset = try dataset(many)
    #expect(dataset.description.train.shards.count > 3)
    let count = try dataset.windowCount(length: 32)
    for epoch in 0..<2 {
      var seen: [String] = []
      for step in 0..<count {
        let batch = try dataset.batch(step: epoch * count + step, rows: 1, length: 32, seed: 3)
        let again = try TokenDataset(folder: data, split: .train)
          .batch(step: epoch * count + step, rows: 1, length: 32, seed: 3)
        #expect(try areIdentical(batch.tokens, again.tokens))
        let (tokens, documents) = try (rows(batch.tokens)[0], rows(batch.packing?.documents)[0])
        let text = Dictionary(grouping: zip(tokens, documents), by: \.1).sorted { $0.key < $1.key }
        seen += text.map { String(decoding: $0.value.map { UInt8(truncatingIfNeeded: $0.0) }, as: UTF8.self) }
      }
      let texts = seen.filter { !$0.allSatisfy { $0 == "\0" } }
      #expect(texts.sorted() == many.map { $0.joined() }.sorted())
    }
  }

  /// The logits of a conversation do not depend on the other conversations of its row.
  @Test(arguments: ModelConfiguration.variety.map(\.name)) func packedDocuments_areIndependent(name: String) throws {
    var configuration = try #require(ModelConfiguration.variety.first { $0.name == name }).configuration
    configuration.vocabularySize = 257
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 2))
    let dataset = try dataset(many)
    let batch = try dataset.batch(step: 0, rows: 2, length: 32, seed: 3)
    try withTorch {
      try withoutGradients {
        let packed = model.logits(of: model.trunk(batch.tokens, in: batch.context(configuration)))
        let documents = try rows(batch.packing?.documents)
        for (row, numbers) in documents.enumerated() {
          for number in Set(numbers) {
            let first = try #require(numbers.firstIndex(of: number))
            let last = try #require(numbers.lastIndex(of: number))
            let alone = model.logits(batch.tokens.slice(0, row..<(row + 1)).slice(1, first..<(last + 1)))
            let together = packed.slice(0, row..<(row + 1)).slice(1, first..<(last + 1))
            #expect(try relativeError(of: together, to: alone) < 1e-5)
          }
        }
      }
    }
  }

  @Test("only the tokens of answers are trained on and evaluated") func training_onAnswers() throws {
    _ = try prepare(many, fraction: 0.2, tokensPerShard: 100_000)
    let recipe = try Recipe(
      yaml: RecipeTests.text("wide"), name: "wide", changes: ["training.steps=4"], vocabularySize: 257)
    let train = try TokenDataset(folder: data, split: .train)
    let validation = try TokenDataset(folder: data, split: .validation)
    let trainer = try Trainer(recipe, train: train, validation: validation)
    let before = try trainer.evaluate()
    for _ in 0..<4 { _ = try trainer.step() }
    let after = try trainer.evaluate()
    #expect(after.nextTokenLoss < before.nextTokenLoss)
    let length = recipe.training.sequenceLength
    let scored = try validation.validationBatches(rows: 1, length: length, limit: recipe.validation.tokens)
      .flatMap { try $0.targets.elements(Int64.self) }.filter { $0 >= 0 }
    #expect(after.tokenCount == scored.count)
  }

  /// All target tokens of a step have the same weight, however its rows are divided into batches.
  @Test(arguments: ["plain", "wide"]) func accumulatedRowsAreOneBatch(_ name: String) throws {
    let uneven = (0..<40).map { ["q\($0)", "a" + String(repeating: "!", count: $0 % 4 == 0 ? 27 : $0 % 3)] }
    _ = try prepare(uneven, fraction: 0.2, tokensPerShard: 100_000)
    let (train, validation) = try (
      TokenDataset(folder: data, split: .train), TokenDataset(folder: data, split: .validation)
    )
    func steps(_ rows: Int) throws -> [[Double]] {
      let recipe = try Recipe(
        yaml: RecipeTests.text(name), name: name,
        changes: [
          "training.rows_per_batch=\(rows)", "model.multi_token_prediction={depth: 2, loss_weight: 0.5}",
          "direct_decoding={encoding_layers: 0, decoding_layers: 1, gate: select, cycles: [2], "
            + "objective: cross_entropy, frozen: []}",
        ], vocabularySize: 257)
      let trainer = try Trainer(recipe, train: train, validation: validation)
      return try (0..<4).map { _ in
        let step = try trainer.step()
        return step.losses.map(\.value) + [step.gradientNorm]
      }
    }
    let one = try steps(4)
    #expect(one[0].count == 7)
    for rows in [1, 2] {
      let parts = try steps(rows)
      #expect(parts == (try steps(rows)))
      for (expected, found) in zip(one.joined(), parts.joined()) { #expect(abs(expected - found) <= 1e-4 * expected) }
    }
  }

  @Test func conversationsAreTextForATokenizer() throws {
    try folder.write("chat.jsonl", text: "{\"messages\": [\"a\", \"b c\"]}\n\n{\"messages\": [\"d\"]}")
    try folder.write("text.txt", text: "e f")
    func texts(_ json: [UInt8], _ file: String, _ number: Int) throws -> [[UInt8]] {
      guard let line = try? JSONDecoder().decode([String: [String]].self, from: Data(json)) else {
        throw DataError.malformed(path: file, sentence: "\(file): line \(number): is no conversation")
      }
      return line["messages", default: []].map { Array($0.utf8) }
    }
    let corpus = try TextCorpus([folder.path], conversationTexts: texts)
    for _ in 0..<2 { #expect(corpus.map { String(decoding: $0, as: UTF8.self) } == ["a", "b c", "d", "e f"]) }
    #expect(corpus.failure == nil)
    try folder.write("chat.jsonl", text: "{\"messages\": [\"a\"]}\n\n{\"messages\": 3}")
    #expect(corpus.map { String(decoding: $0, as: UTF8.self) } == ["a"])
    #expect(corpus.failure.map { "\($0)" } == "\(folder("chat.jsonl")): line 3: is no conversation")
  }

  @Test("malformed and mixed input is rejected") func preparation_rejects() throws {
    func refusal(_ lines: String, _ more: [String] = [], encoder: ByteEncoder = ByteEncoder()) throws -> String {
      try folder.write("chat.jsonl", text: lines)
      return message {
        _ = try DataPreparation([folder("chat.jsonl")] + more, encoder: encoder).run(into: data)
      }
    }
    let good = #"{"messages": ["a", "b"]}"#
    #expect(try refusal("\(good)\n\n{\"messages\": 3}") == "\(folder("chat.jsonl")): line 3: is no conversation")
    #expect(
      try refusal(#"{"messages": ["a"]}"#)
        == "\(folder("chat.jsonl")): line 1: no message is the assistant's: expected at least one to learn from")
    try folder.write("text.txt", text: "text")
    #expect(
      try refusal(good, [folder("text.txt")])
        == "\(folder("text.txt")): holds text, but \(folder("chat.jsonl")) holds conversations; "
        + "prepare one kind at a time")
    #expect(try folder.names() == ["chat.jsonl", "text.txt"])
  }

  @Test func damagedFilesAreNamed() throws {
    _ = try prepare([["ab", "cd"], ["e", "f"]])
    func refusal(_ name: String, _ values: [Int]) throws -> String {
      let path = folder("data/\(name)")
      let old = try Data(contentsOf: URL(filePath: path))
      defer { try? old.write(to: URL(filePath: path)) }
      try FileManager.default.removeItem(atPath: path)
      let writer = try TokenArrayWriter(path, .int64)
      try writer.append(values)
      try writer.finish()
      return message { _ = try TokenDataset(folder: data, split: .train) }
    }
    let answers = folder("data/train-00000.answers.npy")
    let starts = folder("data/train-00000.boundaries.npy")
    #expect(try refusal("train-00000.answers.npy", [2, 5, 6, 8]) == "no error")
    #expect(
      try refusal("train-00000.answers.npy", [2, 5, 6])
        == "\(answers): does not hold rising pairs of positions in 8 tokens")
    #expect(
      try refusal("train-00000.answers.npy", [2, 9])
        == "\(answers): does not hold rising pairs of positions in 8 tokens")
    #expect(
      try refusal("train-00000.answers.npy", [2, 6, 6, 8])
        == "\(answers): has an answer at 2 that is not inside its document")
    #expect(
      try refusal("train-00000.answers.npy", [8, 8]) == "\(answers): has an answer at 8, after the last of 8 tokens")
    #expect(
      try refusal("train-00000.boundaries.npy", [0])
        == "\(starts): has 1 documents, but data.json says 2")
    #expect(
      try refusal("train-00000.boundaries.npy", [0, 9])
        == "\(starts): does not hold rising positions of documents in 8 tokens")
  }
}
