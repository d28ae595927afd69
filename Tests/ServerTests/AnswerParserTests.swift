import Testing
import WidebandCheckedInput
import WidebandTokenization

@testable import WidebandServer

@Suite struct AnswerParserTests {
  /// An answer in parts of its kinds, whose text does not depend on the pieces in which it came.
  private struct Parts: Equatable {
    var reasoning = "", content = ""
    var calls: [String] = []
  }

  private func parts(_ pieces: [String], inThought: Bool = false, tools: Bool = true) -> Parts {
    var parser = AnswerParser(beginsInThought: inThought, parsesTools: tools)
    var parts = Parts()
    for piece in pieces.flatMap({ parser.append($0) }) + parser.finish() {
      switch piece {
      case .reasoning(let text): parts.reasoning += text
      case .content(let text): parts.content += text
      case .toolCall(let call): parts.calls.append("\(call.name) \(call.arguments.text(spaced: true))")
      }
    }
    return parts
  }

  /// The text in two pieces, split everywhere, and in single characters.
  private func check(_ text: String, inThought: Bool = false, tools: Bool = true, _ expected: Parts) {
    let scalars = Array(text.unicodeScalars)
    func string(_ part: some Sequence<Unicode.Scalar>) -> String {
      part.reduce(into: "") { $0.unicodeScalars.append($1) }
    }
    for split in scalars.indices {
      let pieces = [string(scalars[..<split]), string(scalars[split...])]
      #expect(parts(pieces, inThought: inThought, tools: tools) == expected, "\(pieces)")
    }
    #expect(parts(scalars.map { String($0) }, inThought: inThought, tools: tools) == expected, "\(text)")
  }

  @Test func plainText_isContent() {
    check("a <b> 😀 \n", Parts(content: "a <b> 😀 \n"))
    check("  <thin", Parts(content: "  <thin"))
    check(" x", tools: false, Parts(content: " x"))
    check("<tool_call>{}</tool_call>", tools: false, Parts(content: "<tool_call>{}</tool_call>"))
  }

  @Test func thoughts_areApart() {
    check("<think>\nHm, 1 < 2\n</think>\n\nYes.", Parts(reasoning: "Hm, 1 < 2", content: "Yes."))
    check("<think>\n\n</think>\n\nYes.", Parts(content: "Yes."))
    check("\nHm</think>Yes", inThought: true, Parts(reasoning: "Hm", content: "Yes"))
    check("<think>Hm</thi", Parts(reasoning: "Hm</thi"))
    check("Yes <think>no</think>", Parts(content: "Yes <think>no</think>"))
  }

  @Test func toolCalls_areParsed() {
    let call = #"<tool_call>\#n{"name": "f", "arguments": {"x": 1.50, "y": [true]}}\#n</tool_call>"#
    let parsed = #"f {"x": 1.50, "y": [true]}"#
    check(call, Parts(calls: [parsed]))
    check(
      "<think>\nHm\n</think>\n\nWait.\n\(call)\n\(call)",
      Parts(reasoning: "Hm", content: "Wait.", calls: [parsed, parsed]))
    check(#"<tool_call>{"name": "f"}"#, Parts(calls: ["f {}"]))
    check("<tool_call>no JSON</tool_call>", Parts(content: "<tool_call>no JSON</tool_call>"))
    check("<tool_call>{", Parts(content: "<tool_call>{"))
  }

  @Test func tagsInStringsOfACall_areText() {
    let call = #"<tool_call>{"name": "f", "arguments": {"x": "\\\"</tool_call>", "y": "<tool_call>"}}</tool_call>"#
    let parsed = #"f {"x": "\\\"</tool_call>", "y": "<tool_call>"}"#
    check(call, Parts(calls: [parsed]))
    check("\(call)\n\(call)", Parts(calls: [parsed, parsed]))
    // The string of a broken call has no end, and the call after it is one.
    let broken = #"<tool_call>{"name": "f}</tool_call>"#
    check("\(broken)\n\(call)", Parts(content: broken, calls: [parsed]))
  }

  @Test func answerAfterTheBeginOfACall_isACallOrNothing() {
    let call = #"{"name": "f", "arguments": {"x": "</tool_call>"}}"#
    for length in 0...call.count {
      var parser = AnswerParser.afterBeginOfCall
      let pieces = parser.append(String(call.prefix(length))) + parser.finish()
      guard length == call.count, case .toolCall(let parsed)? = pieces.first else {
        #expect(pieces.isEmpty && length < call.count, "\(pieces)")
        continue
      }
      #expect(parsed.name == "f" && parsed.arguments == ["x": "</tool_call>"])
    }
  }
}
