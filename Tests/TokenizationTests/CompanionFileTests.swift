import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandTokenization

/// Added tokens in the files next to `tokenizer.json`, compared with transformers 5.24's `AutoTokenizer` for the class
/// `PreTrainedTokenizerFast`.
@Suite struct CompanionFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Single bytes a, b, c, <, x, y, > and space with ids 0 to 9, as far as they are needed, and `<t>` as 10.
  private func load(_ files: [String: String], edit: (inout SmallFile) -> Void = { _ in }) throws -> Tokenizer {
    for name in try folder.names() { try FileManager.default.removeItem(at: folder.url(name)) }
    var file = SmallFile()
    file.vocabulary += ["<", "x", "y", ">", "t"].enumerated().map { "\"\($1)\":\(5 + $0)" }
    file.addedTokens = #"[{"id":10,"content":"<t>"}]"#
    edit(&file)
    for (name, content) in files.merging(["tokenizer.json": file.json], uniquingKeysWith: { own, _ in own }) {
      try folder.write(name, text: content)
    }
    return try Tokenizer(contentsOf: folder.url("tokenizer.json"))
  }

  private func failure(_ files: [String: String]) -> String {
    message { try load(files) }.replacing("\(folder.path)/", with: "").replacing(folder.path, with: "folder")
  }

  private func token(_ content: String, _ more: String = "") -> String {
    #"{"content":"\#(content)","lstrip":false,"normalized":false,"rstrip":false,"single_word":false,"special":true\#(more)}"#
  }

  private static let text = "a<x><y><t>"
  /// The ids of the text if `<x>` and `<y>` are not added tokens.
  private static let plain: [TokenID] = [0, 5, 6, 8, 5, 7, 8, 10]

  @Test("tokens of the configuration get the next ids, in the order of its ids")
  func decoder_ids() throws {
    for (decoder, ids) in [
      ("\"11\":\(token("<x>"))", [0, 11, 5, 7, 8, 10]),
      ("\"16\":\(token("<x>")),\"13\":\(token("<y>"))", [0, 12, 11, 10]),
      ("\"10\":\(token("<x>"))", [0, 11, 5, 7, 8, 10]), ("\"3\":\(token("<x>"))", [0, 11, 5, 7, 8, 10]),
      ("\"11\":\(token("<t>")),\"10\":\(token("<x>"))", [0, 11, 5, 7, 8, 10]),
      ("\"11\":\(token("c")),\"12\":\(token("<x>"))", [0, 11, 5, 7, 8, 10]), ("\"11\":\(token(""))", Self.plain),
    ] as [(String, [TokenID])] {
      let tokenizer = try load(["tokenizer_config.json": "{\"added_tokens_decoder\":{\(decoder)}}"])
      #expect(try tokenizer.encode(Self.text) == ids, "\(decoder)")
    }
  }

  @Test("flags of the configuration override those of existing tokens")
  func decoder_flags() throws {
    let configuration =
      "{\"added_tokens_decoder\":{\"10\":\(token("<t>", ",\"lstrip\":true")),\"11\":{\"content\":\"<x>\"}}}"
    let tokenizer = try load(["tokenizer_config.json": configuration])
    let (first, second) = (tokenizer.addedTokens[0], tokenizer.addedTokens[1])
    #expect((first.id, first.isSpecial, first.stripsLeft, first.isNormalized) == (10, true, true, false))
    #expect((second.id, second.isSpecial, second.isNormalized) == (11, false, true))
    let other = try load([:])
    #expect(tokenizer.fingerprint != other.fingerprint)
  }

  @Test("keys that name special tokens add missing ones")
  func names_special() throws {
    for (configuration, ids) in [
      (#"{"eos_token":"<x>"}"#, [0, 11, 5, 7, 8, 10]),
      ("{\"eos_token\":\(token("<x>", ",\"__type\":\"AddedToken\""))}", [0, 11, 5, 7, 8, 10]),
      (#"{"pad_token":"<y>","eos_token":"<x>"}"#, [0, 11, 12, 10]),
      (#"{"image_token":"<y>","eos_token":"<x>"}"#, [0, 11, 12, 10]),
      (#"{"additional_special_tokens":["<x>","<y>"]}"#, [0, 11, 12, 10]),
      (#"{"extra_special_tokens":["<x>","<y>"]}"#, [0, 11, 12, 10]),
      (#"{"extra_special_tokens":{"image_token":"<x>"}}"#, [0, 11, 5, 7, 8, 10]),
      (#"{"eos_token":"<t>","pad_token":null,"add_bos_token":true,"x":1e999}"#, Self.plain),
    ] as [(String, [TokenID])] {
      let tokenizer = try load(["tokenizer_config.json": configuration])
      #expect(try tokenizer.encode(Self.text) == ids, "\(configuration)")
      let areSpecial = tokenizer.addedTokens.dropFirst().map(\.isSpecial)
      #expect(!areSpecial.contains(false))
    }
    // A token of the merge model keeps its id and is matched verbatim.
    let tokenizer = try load(["tokenizer_config.json": #"{"eos_token":"b"}"#])
    #expect(try tokenizer.encode("ab") == [0, 1])
  }

  @Test("files of older folders are read if the configuration lists no tokens")
  func olderFiles() throws {
    let added = #"{"<y>":14,"<x>":12}"#
    #expect(try load(["added_tokens.json": added]).encode(Self.text) == [0, 11, 12, 10])
    let special = try load(["added_tokens.json": added, "tokenizer_config.json": #"{"eos_token":"<x>"}"#])
    #expect(special.addedTokens.map(\.isSpecial) == [false, true, false])
    #expect(special.addedTokens.map(\.isNormalized) == [true, false, true])
    // Ids of tokenizer.json have precedence.
    #expect(try load(["added_tokens.json": #"{"<x>":10}"#]).encode(Self.text) == Self.plain)
    let listed = "{\"added_tokens_decoder\":{\"12\":\(token("<y>"))}}"
    #expect(
      try load(["added_tokens.json": added, "tokenizer_config.json": listed]).encode(Self.text)
        == [0, 5, 6, 8, 11, 10])
    #expect(
      try load(["special_tokens_map.json": #"{"eos_token":"<x>","additional_special_tokens":["<y>"]}"#])
        .encode(Self.text) == [0, 11, 12, 10])
  }

  @Test("errors in these files are named")
  func files_damaged() {
    for (content, sentence) in [
      ("{", "line 1, column 2: malformed JSON: expected a string"),
      ("[]", "the document is a list: expected an object"),
      (
        #"{"added_tokens_decoder":{"x":{}}}"#,
        "added_tokens_decoder has the key 'x': expected an id from 0 to 16777215"
      ),
      (
        #"{"added_tokens_decoder":{"-1":{"content":"<x>"}}}"#,
        "added_tokens_decoder has the key '-1': expected an id from 0 to 16777215"
      ),
      (
        #"{"added_tokens_decoder":{"99999999999999999999":{"content":"<x>"}}}"#,
        "added_tokens_decoder has the key '99999999999999999999': expected an id from 0 to 16777215"
      ),
      (#"{"added_tokens_decoder":{"11":"<x>"}}"#, "added_tokens_decoder.11 is '<x>': expected an object"),
      (#"{"added_tokens_decoder":{"11":{}}}"#, "added_tokens_decoder.11.content is missing"),
      (#"{"eos_token":3}"#, "eos_token is 3: expected a string"),
    ] {
      #expect(failure(["tokenizer_config.json": content]) == "tokenizer_config.json: \(sentence)")
    }
    #expect(
      failure(["added_tokens.json": #"{"<x>":16777216}"#])
        == "added_tokens.json: <x> is 16777216: expected an id from 0 to 16777215")
    #expect(
      failure(["added_tokens.json": #"{"<x>":11,"<y>":11}"#])
        == "folder: id 11 is given to two added tokens, '<x>' and '<y>'")
  }

  @Test("a file of another name is read alone")
  func otherName() throws {
    try folder.write("small.json", text: SmallFile().json)
    try folder.write("tokenizer_config.json", text: "{")
    #expect(try Tokenizer(contentsOf: folder.url("small.json")).encode("abc") == [4])
  }

  @Test("canonically equivalent tokens differ")
  func canonicalEquivalence() throws {
    var file = SmallFile()
    file.addedTokens = #"[{"id":5,"content":"<\u00e9>"},{"id":6,"content":"<e\u0301>"}]"#
    let tokenizer = try file.load()
    #expect(try tokenizer.encode("a<\u{E9}>b<e\u{301}>") == [0, 5, 1, 6])
    #expect(tokenizer.tokenToID("<e\u{301}>") == 6)
    #expect(tokenizer.addedTokens[0] != tokenizer.addedTokens[1])
    _ = try BytePairTrainer(vocabularySize: 258, specialTokens: ["<\u{E9}>", "<e\u{301}>"])
  }
}
