import WidebandCheckedInput
import WidebandServing
import WidebandTokenization

extension JSONValue {
  /// A log-probability. JSON has no infinity: -9999 stands for the logarithm of 0, as elsewhere.
  fileprivate init(logprob: Double) {
    self = .number(JSONNumber(logprob.isFinite ? "\(logprob)" : "-9999.0"))
  }
}

extension Tokenizer {
  /// The text of a token, with U+FFFD in place of bytes that are not UTF-8.
  fileprivate func text(of token: TokenID) -> String { String(decoding: idToToken(token) ?? [], as: UTF8.self) }
}

/// Log-probabilities in the form of chat completions.
struct ChatLogprobs: Sendable {
  let tokenizer: Tokenizer

  /// A token with its alternatives.
  func json(_ report: TokenLogprob) -> JSONValue {
    var members = members(report.token, report.logprob ?? 0)
    members["top_logprobs"] = .array(report.alternatives.map { .object(self.members($0.token, $0.logprob)) })
    return .object(members)
  }

  private func members(_ token: TokenID, _ logprob: Double) -> JSONObject {
    var members = JSONObject()
    members["token"] = .string(tokenizer.text(of: token))
    members["logprob"] = JSONValue(logprob: logprob)
    members["bytes"] = .array((tokenizer.idToToken(token) ?? []).map { JSONValue(Int($0)) })
    return members
  }
}

/// Log-probabilities in the form of text completions.
struct CompletionLogprobs: Sendable {
  let tokenizer: Tokenizer
  /// The position of the next token in the text, in characters as Python counts them.
  var offset = 0

  init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// Consecutive tokens.
  mutating func json(_ reports: [TokenLogprob]) -> JSONValue {
    var (texts, logprobs, alternatives, offsets) = ([JSONValue](), [JSONValue](), [JSONValue](), [JSONValue]())
    for report in reports {
      let text = tokenizer.text(of: report.token)
      texts.append(.string(text))
      offsets.append(JSONValue(offset))
      offset += text.unicodeScalars.count
      guard let logprob = report.logprob else {
        logprobs.append(.null)
        alternatives.append(.null)
        continue
      }
      logprobs.append(JSONValue(logprob: logprob))
      var members = JSONObject()
      for other in report.alternatives {
        // Two tokens may have the same text; the first is the more probable one.
        let text = tokenizer.text(of: other.token)
        members[text] = members[text] ?? JSONValue(logprob: other.logprob)
      }
      // The token itself is among its alternatives, as OpenAI has it.
      members[text] = members[text] ?? JSONValue(logprob: logprob)
      alternatives.append(.object(members))
    }
    return [
      "tokens": .array(texts), "token_logprobs": .array(logprobs), "top_logprobs": .array(alternatives),
      "text_offset": .array(offsets),
    ]
  }
}
