import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandTokenization

@Suite struct TokenizerTests {
  @Test func encode_singleBytes() throws {
    let tokenizer = try Fixtures.tokenizer("gpt2")
    for byte in UInt8.min...UInt8.max {
      let ids = try tokenizer.encode(bytes: [byte])
      let expected: [UInt8] = byte < 0x80 ? [byte] : [0xEF, 0xBF, 0xBD]
      #expect(try tokenizer.decodeBytes(ids) == expected)
    }
  }

  @Test(
    arguments: [
      ([0x61, 0xE6, 0x97, 0x62], "a\u{FFFD}b"), ([0xE6, 0x97], "\u{FFFD}"), ([0xF0, 0x9F, 0x91], "\u{FFFD}"),
      ([0xC0, 0x80], "\u{FFFD}\u{FFFD}"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
      ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xF0, 0x90, 0xE6, 0x97, 0xA5], "\u{FFFD}日"),
      ([0xFF, 0x31, 0xFE], "\u{FFFD}1\u{FFFD}"),
    ] as [([UInt8], String)])
  func encode_illFormedBytes_areReplaced(bytes: [UInt8], text: String) throws {
    for family in ["gpt2", "qwen"] {
      let tokenizer = try Fixtures.tokenizer(family)
      #expect(try tokenizer.encode(bytes: bytes) == tokenizer.encode(text))
    }
  }

  @Test func stream_incompleteCharacters() throws {
    let tokenizer = try Fixtures.tokenizer("gpt2")
    var decoder = StreamDecoder(tokenizer)
    let pieces = try tokenizer.encode("👍").map { try decoder.append($0) }
    #expect(pieces.dropLast().joined().isEmpty)
    #expect(pieces.last == "👍")
    let half = try #require(tokenizer.encode("👍").first)
    #expect(try decoder.append(half) == "")
    #expect(decoder.finish() == "\u{FFFD}")
    #expect(decoder.finish() == "")
    #expect(try decoder.append(half) == "")
    #expect(try decoder.append(try #require(tokenizer.tokenToID("a"))) == "\u{FFFD}a")
  }

  @Test func encode_withoutParsingAddedTokens() throws {
    let tokenizer = try Fixtures.tokenizer("qwen")
    let text = "<|im_start|>"
    #expect(try tokenizer.encode(text) == [3001])
    let plain = try tokenizer.encode(text, parsingAddedTokens: false)
    #expect(plain.count > 1)
    #expect(try tokenizer.decode(plain) == text)
  }

  @Test func lookUp_byTokenAndID() throws {
    let tokenizer = try Fixtures.tokenizer("qwen")
    #expect(tokenizer.vocabularySize == 3005)
    #expect(tokenizer.tokenToID("<|im_end|>") == 3002)
    let the = try #require(tokenizer.tokenToID(" the"))
    #expect(tokenizer.idToToken(the) == Array(" the".utf8))
    #expect(tokenizer.tokenToID("no such token") == nil)
    #expect(tokenizer.idToToken(3005) == nil)
    #expect(tokenizer.idToToken(-1) == nil)
    #expect(tokenizer.addedTokens.filter(\.isSpecial).map(\.id) == [3000, 3001, 3002])
  }

  @Test func decode_unknownIDs_areRefused() throws {
    let tokenizer = try Fixtures.tokenizer("qwen")
    #expect(
      message { try tokenizer.decode([1, 3005]) }
        == "token id 3005 is out of range: the vocabulary has 3005 ids, 0 to 3004")
    #expect(
      message { try tokenizer.decode([-7]) }
        == "token id -7 is out of range: the vocabulary has 3005 ids, 0 to 3004")
    var file = SmallFile()
    file.vocabulary[4] = "\"abc\":9"
    let sparse = try file.load()
    #expect(sparse.vocabularySize == 10)
    #expect(message { try sparse.decode([5]) } == "token id 5 belongs to no token of the vocabulary")
    var decoder = StreamDecoder(tokenizer)
    #expect(
      message { try decoder.append(3005) } == "token id 3005 is out of range: the vocabulary has 3005 ids, 0 to 3004")
  }

  @Test("errors are distinguished by their case")
  func errors_cases() throws {
    let tokenizer = try SmallFile().load()
    let sentence = "token id 7 is out of range: the vocabulary has 5 ids, 0 to 4"
    #expect(throws: TokenizationError.unknownToken(sentence)) { try tokenizer.decode([7]) }
    #expect(throws: TokenizationError.malformed("t.json: model is missing")) {
      try Tokenizer(json: Data("{}".utf8), name: "t.json")
    }
    #expect(throws: TokenizationError.unreadable("/no: cannot be read: No such file or directory")) {
      try Tokenizer(contentsOf: URL(filePath: "/no"))
    }
  }

  @Test func encode_bytesWithoutToken() throws {
    #expect(try SmallFile().load().encode("azzb") == [3])
    var file = SmallFile()
    file.model = #""type":"BPE","unk_token":"c","#
    #expect(try file.load().encode("azzb") == [0, 2, 2, 1])
    file.model = #""type":"BPE","unk_token":"c","fuse_unk":true,"#
    #expect(try file.load().encode("azzb") == [0, 2, 1])
  }

  @Test func merge_followsRanks() throws {
    var file = SmallFile()
    #expect(try file.load().encode("abc") == [4])
    file.merges = #"["a b"]"#
    #expect(try file.load().encode("abc") == [3, 2])
    file.model = #""ignore_merges":true,"#
    #expect(try file.load().encode("abc abcc") == [4, 3, 2, 2])
  }

  @Test func encode_longPieces_areExact() throws {
    let tokenizer = try Fixtures.tokenizer("llama3")
    let word = String(repeating: "abcdefghij", count: 20_000)
    for text in [word, String(repeating: " ", count: 200_000) + "x", String(repeating: "\n", count: 100_000)] {
      #expect(try tokenizer.decode(tokenizer.encode(text)) == text)
    }
  }

  @Test func merge_longPieces_equalShortOnes() throws {
    var file = SmallFile()
    file.vocabulary = ["a", "b", "c", "d", "bc", "ab", "bcd", "abc"].enumerated().map { "\"\($1)\":\($0)" }
    // "bc" comes first and makes the pair "a b" of rank 1 void; "a bc" must then wait for "bc d".
    file.merges = #"["b c","a b","bc d","a bc"]"#
    let tokenizer = try file.load()
    for text in ["abcd", "abcbcdabd"] {
      let short = try tokenizer.encode(text)
      let long = try tokenizer.encode(String(repeating: text, count: 40))
      #expect(long == Array(repeatElement(short, count: 40).joined()))
    }
    #expect(try tokenizer.encode("abcd") == [0, 6])
  }

  @Test func encode_concurrently() async throws {
    let tokenizer = try Fixtures.tokenizer("qwen")
    let texts = try Fixtures.cases("qwen").map { [UInt8]($0.text) }
    let expected = try texts.map { try tokenizer.encode(bytes: $0) }
    try await withThrowingTaskGroup(of: [[TokenID]].self) { group in
      for _ in 0..<4 { group.addTask { try texts.map { try tokenizer.encode(bytes: $0) } } }
      for try await ids in group { #expect(ids == expected) }
    }
  }

  @Test func fingerprint_ignoresFormatting() throws {
    let base = try SmallFile().load().fingerprint
    var reordered = SmallFile()
    reordered.vocabulary.reverse()
    reordered.merges = #"["\u0061 b",   "ab c"]"#
    #expect(try reordered.load().fingerprint == base)
    var changes = Array(repeating: SmallFile(), count: 5)
    changes[0].merges = #"[["a","b"]]"#
    changes[1].normalizer = #"{"type":"NFC"}"#
    changes[2].model = #""ignore_merges":true,"#
    changes[3].addedTokens = #"[{"id":5,"content":"<x>"}]"#
    changes[4].preTokenizer = #"{"type":"ByteLevel","add_prefix_space":true}"#
    #expect(Set(try changes.map { try $0.load().fingerprint } + [base]).count == 6)
  }

  @Test func fingerprint_isSHA256() {
    // Length-prefixed fields, checked against an independent implementation.
    var hash = Fingerprint()
    hash.add("abc".utf8)
    #expect(hash.hexadecimal() == "c3494ca1a2cf8eeb8a11ded316fb55b83c3bbbedb6313cd50415251e5d09e12f")
    var long = Fingerprint()
    long.add([UInt8](repeating: 0x61, count: 1000))
    #expect(long.hexadecimal() == "12927acabb6790a39811f5715096f18bba9d60990478f88d97d5d8f9c7ab750f")
  }
}
