import Foundation
import TestSupport
import Testing

@testable import WidebandTokenization

/// Errors of tokenizer files.
@Suite struct BadFileTests {
  private func failure(_ change: (inout SmallFile) -> Void) -> String {
    var file = SmallFile()
    change(&file)
    return file.failure()
  }

  /// Expects a sentence about a small file in which one part is replaced.
  private func refuses(
    _ part: WritableKeyPath<SmallFile, String>, _ text: String, _ sentence: String,
    at location: SourceLocation = #_sourceLocation
  ) {
    #expect(failure { $0[keyPath: part] = text } == "small.json: \(sentence)", sourceLocation: location)
  }

  private func failure(json: String) -> String {
    message { try Tokenizer(json: Data(json.utf8), name: "t.json") }
  }

  @Test func smallFile_isValid() {
    #expect(SmallFile().failure() == "no error")
  }

  @Test func file_missing() {
    let url = URL(fileURLWithPath: "/no/such/tokenizer.json")
    #expect(
      message { try Tokenizer(contentsOf: url) }
        == "/no/such/tokenizer.json: cannot be read: No such file or directory")
    #expect(message { try Tokenizer(contentsOf: URL(fileURLWithPath: "/")) } == "/: is a folder: expected a file")
  }

  @Test(arguments: [
    ("", "line 1, column 1: expected '{'"),
    ("[]", "line 1, column 1: expected '{'"),
    ("{\"a\" 1}", "line 1, column 6: expected ':'"),
    ("{\"a\":1,\n  \"b\":tru}", "line 2, column 7: expected a value"),
    ("{\"a\":01}", "line 1, column 8: a number that begins with 0"),
    ("{\"a\":\"\\x\"}", "line 1, column 8: an unknown escape in a string"),
    ("{\"a\":\"\\u00g0\"}", "line 1, column 11: expected four hexadecimal digits"),
    ("{\"a\":\"b", "line 1, column 8: a string without an end"),
    ("{\"a\":\"b\u{1}\"}", "line 1, column 8: a control character in a string"),
    ("{\"a\":[1 2]}", "line 1, column 9: expected ',' or ']'"),
    ("{\"a\":1,}", "line 1, column 8: expected a string"),
    ("{\"model\":{\"vocab\":{", "line 1, column 20: expected a string"),
    ("{\"a\":1} x", "line 1, column 9: text after the end of the document"),
    ("{\"a\":" + String(repeating: "[", count: 200), "line 1, column 134: more than 128 levels"),
  ])
  func file_malformed(json: String, message: String) {
    #expect(
      failure(json: json)
        == "t.json: \(message.replacing(/^line 1, column \d+|^line 2, column \d+/) { "\($0.output): malformed JSON" })")
  }

  @Test("unread keys may have any value, and the last of equal keys counts")
  func file_unreadKeys() throws {
    var file = SmallFile()
    file.model += #""x":123456789012345678901234567890,"y":1e999,"z":"\ud800","\udfff":NaN,"type":"BPE","#
    file.vocabulary = ["\"a\":9", "\"a\":0"] + file.vocabulary.dropFirst() + ["\"c\":2"]
    #expect(try file.load().encode("abca") == [4, 0])
    #expect(try file.load().vocabularySize == 5)
    file.model += #""type":7,"#
    #expect(file.failure() == "small.json: model.type is 7: expected a string")
    file.vocabulary.append("\"\\ud800\":5")
    file.model = ""
    #expect(file.failure().contains("half of a surrogate pair in a token of model.vocab"))
  }

  @Test("messages escape control characters and have a bounded length")
  func message_escapes() throws {
    let long = String(repeating: "x", count: 1_000_000)
    let sentence = failure({ $0.model = "\"type\":\"\\u001b[31m\(long)\"," })
    #expect(sentence.hasPrefix("small.json: model.type is '\\u{1b}[31mxxx"))
    #expect(sentence.utf8.count < 300)
    for change in [
      { $0.vocabulary.append("\"\\u001b\(long)\":-1") }, { $0.merges = "[\"\\u001b\(long)\"]" },
      {
        $0.preTokenizer = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\\u001b\(long)\"},\"behavior\":\"Isolated\"}"
      },
    ] as [(inout SmallFile) -> Void] {
      let sentence = failure(change)
      #expect(!sentence.contains("\u{1b}") && sentence.utf8.count < 400, "\(sentence.prefix(400))")
    }
  }

  @Test func file_notUTF8() {
    let data = Data([0x7B, 0x22, 0xFF])
    #expect(message { try Tokenizer(json: data, name: "t.json") } == "t.json: not UTF-8 at byte 2")
  }

  @Test func file_missingParts() {
    #expect(failure(json: "{}") == "t.json: model is missing")
    #expect(failure(json: #"{"model":{"merges":[]}}"#) == "t.json: model.vocab is missing")
    #expect(failure(json: #"{"model":{"vocab":{}}}"#) == "t.json: model.merges is missing")
    #expect(failure(json: #"{"model":{"vocab":{},"merges":[]}}"#) == "t.json: model.vocab is empty")
    #expect(failure(json: #"{"model":{"vocab":{"a":0},"merges":[]}}"#) == "t.json: pre_tokenizer is missing")
  }

  @Test func model_unsupported() {
    #expect(
      failure(json: #"{"model":{"type":"Unigram","vocab":[["a",0.5]]}}"#)
        == #"t.json: model.type is 'Unigram': expected 'BPE'"#)
    #expect(
      failure(json: #"{"model":{"type":"WordPiece","vocab":{"a":0}}}"#)
        == #"t.json: model.type is 'WordPiece': expected 'BPE'"#)
    refuses(\.model, #""type":7,"#, "model.type is 7: expected a string")
    refuses(\.model, #""byte_fallback":true,"#, "model.byte_fallback is true: expected false")
    refuses(\.model, #""dropout":0.1,"#, "model.dropout is 0.1: expected null or 0")
    refuses(
      \.model, "\"continuing_subword_prefix\":\"##\",",
      "model.continuing_subword_prefix is '##': expected null or ''")
    refuses(\.model, #""end_of_word_suffix":"</w>","#, "model.end_of_word_suffix is '</w>': expected null or ''")
    refuses(\.model, #""unk_token":"?","#, "model.unk_token is '?': expected a token of model.vocab")
    refuses(\.model, #""ignore_merges":1,"#, "model.ignore_merges is 1: expected true or false")
  }

  @Test func stages_unsupported() {
    refuses(
      \.normalizer, #"{"type":"Lowercase"}"#,
      "normalizer.type is 'Lowercase': expected 'NFC', 'Sequence' or no normalizer")
    refuses(
      \.normalizer, #"{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFKC"}]}"#,
      "normalizer.normalizers[1].type is 'NFKC': expected 'NFC', 'Sequence' or no normalizer")
    refuses(
      \.preTokenizer, #"{"type":"Whitespace"}"#,
      "pre_tokenizer.type is 'Whitespace': expected 'ByteLevel', 'Split', 'Digits' or 'Sequence'")
    refuses(
      \.preTokenizer, #"{"type":"Digits"}"#,
      "pre_tokenizer has no ByteLevel step, so the model is not byte-level")
    refuses(
      \.preTokenizer, #"{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}"#,
      "pre_tokenizer.pretokenizers[1] comes after the ByteLevel step: expected ByteLevel to be last")
    refuses(
      \.preTokenizer, #"{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated"}"#,
      "pre_tokenizer.pattern.Regex '(' is not a valid pattern: missing closing parenthesis")
    refuses(
      \.preTokenizer, #"{"type":"Split","pattern":{"Regex":"a"},"behavior":"Kept"}"#,
      "pre_tokenizer.behavior is 'Kept': expected one of 'Isolated', 'Removed', "
        + "'MergedWithPrevious', 'MergedWithNext', 'Contiguous'")
    refuses(
      \.postProcessor, #"{"type":"BertProcessing"}"#,
      "post_processor.type is 'BertProcessing': expected 'ByteLevel', 'TemplateProcessing' or "
        + "'Sequence'")
    refuses(\.decoder, #"{"type":"Metaspace"}"#, "decoder.type is 'Metaspace': expected 'ByteLevel'")
  }

  @Test func vocabulary_invalid() {
    refuses(\.vocabulary[1], "\"b\":0", "id 0 is given to two tokens, 'a' and 'b'")
    refuses(\.vocabulary[0], "\"a\":-1", "model.vocab['a'] is -1: expected an id from 0 to 16777215")
    refuses(\.vocabulary[0], "\"a\":4294967296", "model.vocab['a'] is 4294967296: expected an id from 0 to 16777215")
    refuses(\.vocabulary[0], "\"a\":\"x\"", "model.vocab['a'] is 'x': expected an id from 0 to 16777215")
    refuses(\.merges, #"[["a","b"],["b","z"]]"#, "model.merges[1] needs the token 'z', which is not in model.vocab")
    refuses(\.merges, #"[["b","c"]]"#, "model.merges[0] needs the token 'bc', which is not in model.vocab")
    refuses(\.merges, #"[["a"]]"#, "model.merges[0] has 1 tokens: expected two")
    refuses(\.merges, #"["ab"]"#, "model.merges[0] is 'ab': expected two tokens and a space between")
  }

  @Test func addedTokens_invalid() {
    refuses(\.addedTokens, #"[{"id":9,"content":"ab"}]"#, "added token 'ab' has id 9, but model.vocab gives it 3")
    refuses(\.addedTokens, #"[{"id":3,"content":"<x>"}]"#, "id 3 is given to two tokens, '<x>' and 'ab'")
    refuses(\.addedTokens, #"[{"id":8,"content":"<x>"},{"id":9,"content":"<x>"}]"#, "added token '<x>' is listed twice")
    refuses(\.addedTokens, #"[{"id":8,"content":""}]"#, "added_tokens[0].content is '': expected text")
    refuses(\.addedTokens, #"[{"content":"<x>"}]"#, "added_tokens[0].id is missing")
    refuses(
      \.addedTokens, #"[{"id":1e99,"content":"<x>"}]"#,
      "added_tokens[0].id is 1e99: expected an id from 0 to 16777215")
    refuses(\.addedTokens, "{}", "added_tokens is an object: expected a list")
  }

  @Test func template_invalid() {
    let special = #""special_tokens":{"<x>":{"ids":[77]}}"#
    let name = #"{"SpecialToken":{"id":"<x>"}}"#
    let text = #"{"Sequence":{"id":"A"}}"#
    refuses(
      \.postProcessor, "{\"type\":\"TemplateProcessing\",\"single\":[\(name),\(text)],\(special)}",
      "post_processor uses id 77, which belongs to no token")
    refuses(
      \.postProcessor, "{\"type\":\"TemplateProcessing\",\"single\":[\(text),\(text)],\(special)}",
      "post_processor.single names the text 2 times: expected once")
    refuses(
      \.postProcessor, "{\"type\":\"TemplateProcessing\",\"single\":[\(name)]}",
      "post_processor.special_tokens is missing")
  }
}
