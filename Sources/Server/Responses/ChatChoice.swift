import WidebandCheckedInput
import WidebandServing

/// A choice of a chat completion.
struct ChatChoice: ChoiceWriter {
  private let index: Int
  private let logprobs: ChatLogprobs?
  /// Whether the answer is a call of a tool, or the beginning of one.
  private let isCall: Bool
  private var parser: AnswerParser
  private var content = "", reasoning = ""
  private var toolCalls: [ToolCall] = []
  private var tokens: [JSONValue] = []
  private var finishReason = JSONValue.null

  /// - Parameters:
  ///   - parser: tells thoughts and calls of tools from the content.
  ///   - isCall: whether the answer has to be a call of a tool.
  ///   - logprobs: nil for an answer without log-probabilities.
  init(index: Int, parser: AnswerParser, isCall: Bool = false, logprobs: ChatLogprobs?) {
    (self.index, self.parser, self.isCall, self.logprobs) = (index, parser, isCall, logprobs)
  }

  mutating func append(_ event: SequenceEvent) throws -> [JSONValue] {
    switch event {
    case .started:
      return [part(["role": "assistant", "content": ""])]
    case .text(let text, _, let reports):
      let reports = logprobs.map { writer in reports.map(writer.json) } ?? []
      tokens += reports
      var deltas = take(parser.append(text))
      // Log-probabilities of text that is held back are not.
      if deltas.isEmpty, !reports.isEmpty { deltas = [["content": ""]] }
      return deltas.enumerated().map { part($1, logprobs: $0 == 0 ? reports : []) }
    case .finished(let end):
      let deltas = take(parser.finish()).map { part($0) }
      finishReason = toolCalls.isEmpty || parser.hasCutCall ? end.reason.json : "tool_calls"
      return deltas + [part([:])]
    }
  }

  /// Keeps parts of the answer, and returns them as deltas.
  private mutating func take(_ pieces: [AnswerParser.Piece]) -> [JSONValue] {
    pieces.map { piece in
      switch piece {
      case .content(let text):
        content += text
        return ["content": .string(text)]
      case .reasoning(let text):
        reasoning += text
        return ["reasoning_content": .string(text)]
      case .call(let name):
        let call = ToolCall(name: name)
        toolCalls.append(call)
        return ["tool_calls": [call.json(index: toolCalls.count - 1)]]
      case .arguments(let text):
        let index = toolCalls.count - 1
        toolCalls[index].arguments += text
        return ["tool_calls": [["index": JSONValue(index), "function": ["arguments": .string(text)]]]]
      }
    }
  }

  private func part(_ delta: JSONValue, logprobs reports: [JSONValue] = []) -> JSONValue {
    choice("delta", delta, reports)
  }

  var whole: JSONValue {
    var message = JSONObject()
    message["role"] = "assistant"
    message["content"] = content.isEmpty && (isCall || !toolCalls.isEmpty) ? .null : .string(content)
    if !reasoning.isEmpty { message["reasoning_content"] = .string(reasoning) }
    if !toolCalls.isEmpty { message["tool_calls"] = .array(toolCalls.map { $0.json() }) }
    return choice("message", .object(message), tokens)
  }

  private func choice(_ key: String, _ value: JSONValue, _ reports: [JSONValue]) -> JSONValue {
    var members = JSONObject()
    members["index"] = JSONValue(index)
    members[key] = value
    members["logprobs"] = logprobs == nil ? .null : ["content": .array(reports)]
    members["finish_reason"] = finishReason
    return .object(members)
  }
}

/// A call of a tool, whose arguments may still arrive.
private struct ToolCall: Sendable {
  let id = "call_" + randomID()
  let name: String
  /// Their text, as the model writes it.
  var arguments = ""

  init(name: String) { self.name = name }

  /// The call as an element of `tool_calls`, with its index in a stream.
  func json(index: Int? = nil) -> JSONValue {
    var members = JSONObject()
    if let index { members["index"] = JSONValue(index) }
    members["id"] = .string(id)
    members["type"] = "function"
    members["function"] = ["name": .string(name), "arguments": .string(arguments)]
    return .object(members)
  }
}
