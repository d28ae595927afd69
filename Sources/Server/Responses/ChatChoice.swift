import WidebandCheckedInput
import WidebandServing
import WidebandTokenization

/// A choice of a chat completion.
struct ChatChoice: ChoiceWriter {
  private let index: Int
  private let logprobs: ChatLogprobs?
  /// Whether the answer is a call of a tool, or the beginning of one.
  private let isCall: Bool
  private var parser: AnswerParser
  private var content = "", reasoning = ""
  private var toolCalls: [JSONValue] = []
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
      finishReason = toolCalls.isEmpty ? end.reason.json : "tool_calls"
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
      case .toolCall(let call):
        let position = toolCalls.count
        let members: JSONObject = call.members
        toolCalls.append(.object(members))
        var delta = JSONObject()
        delta["index"] = JSONValue(position)
        for (key, value) in members { delta[key] = value }
        return ["tool_calls": [.object(delta)]]
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
    if !toolCalls.isEmpty { message["tool_calls"] = .array(toolCalls) }
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

extension ToolCall {
  /// The call as a member of `tool_calls`.
  fileprivate var members: JSONObject {
    var members = JSONObject()
    members["id"] = JSONValue(id)
    members["type"] = "function"
    members["function"] = ["name": .string(name), "arguments": .string(arguments.text(spaced: true))]
    return members
  }
}
