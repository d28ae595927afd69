import Foundation
import TestSupport
import WidebandCheckedInput

@testable import WidebandTokenization

/// A text with its ids and decoded texts by the Hugging Face library.
struct Case: Decodable {
  let text: Data
  let ids: [TokenID]
  let decoded: Data
  let skipped: Data?
  let addsSpecialTokens: Bool?

  enum CodingKeys: String, CodingKey {
    case text = "text_b64"
    case ids
    case decoded = "decoded_b64"
    case skipped = "skipped_b64"
    case addsSpecialTokens = "add_special"
  }
}

/// The tokenizer fixtures.
extension Fixtures {
  /// Every folder with a tokenizer and its cases.
  static let families: [String] = {
    let extra = (try? FileManager.default.contentsOfDirectory(atPath: url("tokenizers/extra").path)) ?? []
    return ["gpt2", "llama3", "qwen"] + extra.filter { $0 != "trained" }.sorted().map { "extra/\($0)" }
  }()

  static func tokenizer(_ family: String) throws -> Tokenizer {
    try Tokenizer(contentsOf: url("tokenizers/\(family)/tokenizer.json"))
  }

  static func cases(_ family: String) throws -> [Case] {
    let data = try Data(contentsOf: url("tokenizers/\(family)/cases.json"))
    let decoder = JSONDecoder()
    decoder.dataDecodingStrategy = .base64
    return try decoder.decode([Case].self, from: data)
  }
}

/// A small tokenizer file with single bytes, "ab" and "abc", whose parts can be replaced.
struct SmallFile {
  var vocabulary: [String] = ["\"a\":0", "\"b\":1", "\"c\":2", "\"ab\":3", "\"abc\":4"]
  var merges = #"[["a","b"],["ab","c"]]"#
  var model = #""type":"BPE","#
  var addedTokens = "[]"
  var normalizer = "null"
  var preTokenizer = #"{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}"#
  var postProcessor = "null"
  var decoder = #"{"type":"ByteLevel"}"#

  var json: String {
    """
    {"added_tokens":\(addedTokens),"normalizer":\(normalizer),"pre_tokenizer":\(preTokenizer),
    "post_processor":\(postProcessor),"decoder":\(decoder),
    "model":{\(model)"vocab":{\(vocabulary.joined(separator: ","))},"merges":\(merges)}}
    """
  }

  func load() throws -> Tokenizer { try Tokenizer(json: Data(json.utf8), name: "small.json") }

  /// The error message of loading.
  func failure() -> String { message { try load() } }
}
