import Foundation
import WidebandCheckedInput
import WidebandServing

/// What all objects of an answer have in common.
struct Envelope: Sendable {
  let id: String
  /// The kind of object, whole and as a part of a stream.
  let object: (whole: String, part: String)
  let model: String
  let created = Int(Date().timeIntervalSince1970)

  /// A whole answer.
  func answer(_ choices: [JSONValue], _ usage: Usage) -> JSONValue {
    json(object.whole, choices, usage.json)
  }

  /// A part of a streamed answer.
  func part(_ choice: JSONValue) -> JSONValue { json(object.part, [choice], nil) }

  /// The part of a streamed answer that has the usage alone.
  func part(_ usage: Usage) -> JSONValue { json(object.part, [], usage.json) }

  private func json(_ kind: String, _ choices: [JSONValue], _ usage: JSONValue?) -> JSONValue {
    var members = JSONObject()
    members["id"] = .string(id)
    members["object"] = .string(kind)
    members["created"] = JSONValue(created)
    members["model"] = .string(model)
    members["choices"] = .array(choices)
    members["usage"] = usage
    return .object(members)
  }
}

/// The tokens of a request. A prompt counts once, whatever its number of choices.
struct Usage: Sendable, Equatable {
  var promptTokens = 0, cachedTokens = 0, generatedTokens = 0

  /// Counts an event of a sequence.
  ///
  /// - Parameter isFirst: whether the sequence is the first choice of its prompt.
  mutating func count(_ event: SequenceEvent, isFirst: Bool) {
    switch event {
    case .started(let cachedTokens, _): if isFirst { self.cachedTokens += cachedTokens }
    case .text: break
    case .finished(let end):
      generatedTokens += end.generatedTokens
      if isFirst { promptTokens += end.promptTokens }
    }
  }

  var json: JSONValue {
    [
      "prompt_tokens": JSONValue(promptTokens), "completion_tokens": JSONValue(generatedTokens),
      "total_tokens": JSONValue(promptTokens + generatedTokens),
      "prompt_tokens_details": ["cached_tokens": JSONValue(cachedTokens)],
    ]
  }
}

/// Writes one choice of an answer, whole or in parts.
///
/// Events are appended in order. Each returns the parts for a stream; `whole` is the choice at the end.
protocol ChoiceWriter: Sendable {
  /// Takes an event, and returns the choice's objects in the parts of a stream that it gives rise to.
  mutating func append(_ event: SequenceEvent) throws -> [JSONValue]
  /// The choice, once it has finished.
  var whole: JSONValue { get }
}

extension FinishedSequence.Reason {
  /// The field `finish_reason`.
  var json: JSONValue {
    switch self {
    case .stop: "stop"
    case .length: "length"
    }
  }
}
