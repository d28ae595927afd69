import Foundation
import WidebandCheckedInput

/// The result of training: a vocabulary that can be used or written to files.
public struct TrainedTokenizer: Sendable {
  /// The special tokens, with ids from 0.
  public let specialTokens: [String]
  /// The pre-tokenizer pattern.
  public let pattern: String
  /// The requested vocabulary size.
  public let requestedSize: Int
  /// The bytes of the other tokens, whose ids follow those of the special tokens.
  let tokens: [[UInt8]]
  let merges: [(left: TokenID, right: TokenID)]

  /// The actual number of ids.
  public var vocabularySize: Int { specialTokens.count + tokens.count }

  /// Whether the corpus had too few repeated pairs for the requested vocabulary size.
  public var isSmallerThanRequested: Bool { vocabularySize < requestedSize }

  /// The tokenizer itself.
  public func tokenizer() throws -> Tokenizer {
    try Tokenizer(json: json, name: "the trained tokenizer")
  }

  /// The content of `tokenizer.json`, `tokenizer_config.json` and, with the tokens of ChatML, `chat_template.jinja`,
  /// which Hugging Face `tokenizers` and `transformers` load, in the order in which to write them.
  public var files: [(name: String, content: Data)] {
    let isForChat = ChatTemplate.requiredTokens.allSatisfy(specialTokens.contains)
    return [("tokenizer.json", json), ("tokenizer_config.json", configuration)]
      + (isForChat ? [("chat_template.jinja", Data(ChatTemplate.chatMLSource.utf8))] : [])
  }

  /// The content of `tokenizer.json`.
  var json: Data {
    let spellings = specialTokens + tokens.map { String(decoding: ByteAlphabet.encode($0), as: UTF8.self) }
    let quoted = spellings.map(Self.quote)
    let added = quoted.prefix(specialTokens.count).enumerated().map { id, content in
      """
          {"id": \(id), "content": \(content), "single_word": false, "lstrip": false, "rstrip": false, \
      "normalized": false, "special": true}
      """
    }
    let vocabulary = quoted.enumerated().map { "      \($1): \($0)" }
    let pairs = merges.map { "      [\(quoted[Int($0.left)]), \(quoted[Int($0.right)])]" }
    func lines(_ items: [String]) -> String { items.isEmpty ? "" : "\n\(items.joined(separator: ",\n"))\n" }
    let text = """
      {
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [\(lines(added))  ],
        "normalizer": null,
        "pre_tokenizer": {
          "type": "Sequence",
          "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": \(Self.quote(pattern))}, "behavior": "Isolated", \
      "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
          ]
        },
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
          "type": "BPE",
          "dropout": null,
          "unk_token": null,
          "continuing_subword_prefix": null,
          "end_of_word_suffix": null,
          "fuse_unk": false,
          "byte_fallback": false,
          "ignore_merges": false,
          "vocab": {\(lines(vocabulary))    },
          "merges": [\(lines(pairs))    ]
        }
      }

      """
    return Data(text.utf8)
  }

  /// The content of `tokenizer_config.json`.
  private var configuration: Data {
    let end = specialTokens.first.map { "  \"eos_token\": \(Self.quote($0)),\n" } ?? ""
    let text = """
      {
      \(end)  "clean_up_tokenization_spaces": false,
        "tokenizer_class": "PreTrainedTokenizerFast"
      }

      """
    return Data(text.utf8)
  }

  private static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\u{0}"..<" ":
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
