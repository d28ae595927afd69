import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandTokenization

@Suite struct TrainerTests {
  private struct Expected: Decodable {
    let documents: [Data]
    let vocabularySize: Int
    let specialTokens: [String]
    let vocabulary: [String: TokenID]
    let merges: [[String]]

    enum CodingKeys: String, CodingKey {
      case documents = "documents_b64"
      case vocabularySize = "vocabulary_size"
      case specialTokens = "special_tokens"
      case vocabulary = "vocab"
      case merges
    }
  }

  private struct Written: Decodable {
    struct Model: Decodable {
      let vocab: [String: TokenID]
      let merges: [[String]]
    }
    let model: Model
  }

  private let text = Array("the cat and the hat and the bat sat on the mat with the cat".utf8)

  @Test func train_equalsReference() throws {
    let data = try Data(contentsOf: Fixtures.url("tokenizers/extra/trained/expected.json"))
    let decoder = JSONDecoder()
    decoder.dataDecodingStrategy = .base64
    let expected = try decoder.decode(Expected.self, from: data)
    let trainer = try BytePairTrainer(
      vocabularySize: expected.vocabularySize, specialTokens: expected.specialTokens)
    let trained = try trainer.train(expected.documents.map { [UInt8]($0) })
    let written = try JSONDecoder().decode(Written.self, from: Data(trained.json))
    #expect(written.model.vocab == expected.vocabulary)
    #expect(written.model.merges == expected.merges)
    #expect(trained.vocabularySize == expected.vocabularySize)
    #expect(!trained.isSmallerThanRequested)
  }

  @Test func train_isDeterministic() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let trainer = try BytePairTrainer(vocabularySize: 270)
    let trained = try trainer.train([text])
    #expect(try trainer.train([text]).json == trained.json)
    for file in trained.files { try file.content.write(to: folder.appending(path: file.name)) }
    #expect(trained.files.map(\.name) == ["tokenizer.json", "tokenizer_config.json"])
    let tokenizer = try Tokenizer(contentsOf: folder.appendingPathComponent("tokenizer.json"))
    #expect(try tokenizer.fingerprint == trained.tokenizer().fingerprint)
    #expect(tokenizer.tokenToID("<|endoftext|>") == 0)
    let ids = try tokenizer.encode(bytes: text)
    #expect(ids.count < text.count)
    #expect(try tokenizer.decodeBytes(ids) == text)
    let configuration = try Data(contentsOf: folder.appendingPathComponent("tokenizer_config.json"))
    let values = try #require(JSONSerialization.jsonObject(with: configuration) as? [String: Any])
    #expect(values["eos_token"] as? String == "<|endoftext|>")
    #expect(values["tokenizer_class"] as? String == "PreTrainedTokenizerFast")
  }

  @Test func train_smallCorpus_stopsEarly() throws {
    let trained = try BytePairTrainer(vocabularySize: 5000).train([text])
    #expect(trained.isSmallerThanRequested)
    #expect(trained.vocabularySize < 300)
    #expect(trained.requestedSize == 5000)
  }

  @Test func train_coversAllBytes() throws {
    let tokenizer = try BytePairTrainer(vocabularySize: 257).train([[0x61]]).tokenizer()
    let all = (0...0x10FFFF).filter { $0 % 997 == 0 }.compactMap(Unicode.Scalar.init)
    let sample = String(String.UnicodeScalarView(all)) + "\u{0}\u{7F}\u{7FF}"
    #expect(try tokenizer.decode(tokenizer.encode(sample)).unicodeScalars.elementsEqual(sample.unicodeScalars))
  }

  @Test func train_illFormedBytes() throws {
    let trained = try BytePairTrainer(vocabularySize: 260).train([[0xFF, 0xFF, 0xFF, 0xFF]])
    #expect(trained.tokens.contains([0xEF, 0xBF, 0xBD]))
  }

  @Test func train_quotesSpecialTokens() throws {
    let special = ["<\"\\\n>", "the"]
    let tokenizer = try BytePairTrainer(vocabularySize: 270, specialTokens: special).train([text]).tokenizer()
    #expect(try tokenizer.encode("a<\"\\\n>") == [try #require(tokenizer.tokenToID("a")), 0])
    #expect(tokenizer.tokenToID("the") == 1)
  }

  @Test func train_invalidArguments() throws {
    let trainer = try BytePairTrainer(vocabularySize: 300)
    let empty = "the corpus is empty: there is nothing to train on"
    #expect(message { try trainer.train([]) } == empty)
    #expect(message { try trainer.train([[], []]) } == empty)
    #expect(
      message { try BytePairTrainer(vocabularySize: 256) }
        == "vocabulary size 256 is out of range: expected 257 (256 bytes and 1 special tokens) to 16777216")
    #expect(
      message { try BytePairTrainer(vocabularySize: .max) }
        == "vocabulary size \(Int.max) is out of range: expected 257 (256 bytes and 1 special tokens) to 16777216")
    #expect(message { try BytePairTrainer(vocabularySize: 300, specialTokens: [""]) } == "a special token is empty")
    #expect(
      message { try BytePairTrainer(vocabularySize: 300, specialTokens: ["<x>", "<x>"]) }
        == "special token '<x>' is given twice")
    #expect(
      message { try BytePairTrainer(vocabularySize: 300, specialTokens: ["é"]) }
        == "special token 'é' is the token of a single byte")
    #expect(
      message { try BytePairTrainer(vocabularySize: 300, pattern: "[") }
        == "pattern '[' has an unclosed character class")
  }
}
