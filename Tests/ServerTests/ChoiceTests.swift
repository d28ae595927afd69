import Testing
import WidebandCheckedInput

@testable import WidebandServer
@testable import WidebandServing

/// Choices of answers that a model with random weights does not give.
@Suite struct ChoiceTests {
  private let end = FinishedSequence(
    reason: .stop(nil), promptTokens: 3, generatedTokens: 5, queuedSeconds: 0, firstTokenSeconds: 0, totalSeconds: 1)

  @Test func toolCalls_haveShape() throws {
    let parser = AnswerParser(beginsInThought: false, parsesTools: true, streamsCalls: true)
    var choice = ChatChoice(index: 2, parser: parser, logprobs: nil)
    var parts = try choice.append(.started(cachedTokens: 0, logprobs: []))
    for text in [
      "<thi", "nk>\nHm\n</think>\n\n", "<tool_call>\n{\"name\": \"f\", ", "\"arguments\": {\"x\": 1}}\n</tool_call>",
    ] {
      parts += try choice.append(.text(text, tokens: [], logprobs: []))
    }
    parts += try choice.append(.finished(end))
    #expect(parts.allSatisfy { $0["index"] == 2 })
    let deltas = parts.map { $0["delta"] }
    let call = deltas[2]["tool_calls"][0]
    #expect(deltas.count == 5)
    #expect(deltas[0] == ["role": "assistant", "content": ""])
    #expect(deltas[1] == ["reasoning_content": "Hm"])
    #expect(call["index"] == 0 && call["type"] == "function" && call["id"].string?.hasPrefix("call_") == true)
    #expect(call["function"] == ["name": "f", "arguments": ""])
    #expect(deltas[3] == ["tool_calls": [["index": 0, "function": ["arguments": #"{"x": 1}"#]]]])
    #expect(deltas[4] == [:] && parts[4]["finish_reason"] == "tool_calls")
    let message = choice.whole["message"]
    #expect(message.has("content") && message["content"] == .null && message["reasoning_content"] == "Hm")
    #expect(message["tool_calls"][0]["id"] == call["id"] && message["tool_calls"].count == 1)
    #expect(message["tool_calls"][0]["function"] == ["name": "f", "arguments": #"{"x": 1}"#])
    #expect(choice.whole["finish_reason"] == "tool_calls")
  }

  @Test func json_isWritten() {
    let value: JSONValue = ["b": [1, true, .null], "a": "x\"\\\n\u{1}é😀"]
    #expect(value.text() == #"{"b":[1,true,null],"a":"x\"\\\n\u0001é😀"}"#)
    #expect(value.text(spaced: true) == #"{"b": [1, true, null], "a": "x\"\\\n\u0001é😀"}"#)
    #expect(JSONValue.number(JSONNumber("NaN")).text() == "null")
  }
}
