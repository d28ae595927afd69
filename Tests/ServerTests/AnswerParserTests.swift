import Testing
import WidebandCheckedInput

@testable import WidebandServer

@Suite struct AnswerParserTests {
  /// An answer in parts of its kinds, whose text does not depend on the pieces in which it came.
  private struct Parts: Equatable {
    var reasoning = "", content = ""
    var calls: [String] = []
  }

  private func parts(_ pieces: [String], inThought: Bool, tools: Bool, streams: Bool) -> Parts {
    var parser = AnswerParser(beginsInThought: inThought, parsesTools: tools, streamsCalls: streams)
    return joined(pieces.flatMap { parser.append($0) } + parser.finish())
  }

  private func joined(_ pieces: [AnswerParser.Piece]) -> Parts {
    pieces.reduce(into: Parts()) { parts, piece in
      switch piece {
      case .reasoning(let text): parts.reasoning += text
      case .content(let text): parts.content += text
      case .call(let name): parts.calls.append(name + " ")
      case .arguments(let text): parts.calls[parts.calls.count - 1] += text
      }
    }
  }

  /// The text in two pieces, split everywhere, and in single characters, with calls that are whole and in parts.
  ///
  /// - Parameter streamed: what is expected of calls in parts; nil for the same.
  private func check(
    _ text: String, inThought: Bool = false, tools: Bool = true, _ whole: Parts, streamed: Parts? = nil
  ) {
    check(text, inThought, tools, streams: false, whole)
    check(text, inThought, tools, streams: true, streamed ?? whole)
  }

  private func check(_ text: String, _ inThought: Bool, _ tools: Bool, streams: Bool, _ expected: Parts) {
    let scalars = Array(text.unicodeScalars)
    func string(_ part: some Sequence<Unicode.Scalar>) -> String {
      part.reduce(into: "") { $0.unicodeScalars.append($1) }
    }
    for split in scalars.indices {
      let pieces = [string(scalars[..<split]), string(scalars[split...])]
      #expect(parts(pieces, inThought: inThought, tools: tools, streams: streams) == expected, "\(pieces)")
    }
    let characters = scalars.map { String($0) }
    #expect(parts(characters, inThought: inThought, tools: tools, streams: streams) == expected, "\(text)")
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
    // Another one begins with its arguments: they end at the first tag.
    let begun = #"<tool_call>{"name": "g", "arguments": {"x": "y}}</tool_call>"#
    let whole = Parts(content: begun, calls: [parsed]), streamed = Parts(calls: [#"g {"x": "y}}"#, parsed])
    check("\(begun)\n\(call)", whole, streamed: streamed)
    check(begun, Parts(content: begun), streamed: Parts(calls: [#"g {"x": "y}}"#]))
  }

  @Test func argumentsThatAreNoJSON_areThoseOfAStream() {
    let call = #"{"name": "f", "arguments": {"x": y}}"#
    let whole = Parts(content: "<tool_call>\(call)</tool_call>.")
    check("<tool_call>\(call)</tool_call>.", whole, streamed: Parts(content: ".", calls: [#"f {"x": y}"#]))
    let text = #"<tool_call>{"name": "f", "arguments": {}} and more</tool_call>"#
    check(text, Parts(content: text), streamed: Parts(content: "} and more", calls: ["f {}"]))
    for text in [#"{"name": f, "arguments": {"x": 1}}"#, #"{"arguments": {"x": y}, "name": "f"}"#, #"[{"name": "f"}]"#]
    {
      check("<tool_call>\(text)</tool_call>", Parts(content: "<tool_call>\(text)</tool_call>"))
    }
  }

  @Test func argumentsInParts_beginOnceTheNameIsKnown() {
    func pieces(_ text: String) -> [AnswerParser.Piece] {
      var parser = AnswerParser(beginsInThought: false, parsesTools: true, streamsCalls: true)
      return text.flatMap { parser.append(String($0)) }
    }
    #expect(pieces(#"<tool_call>{"name": "f", "arguments": "#).isEmpty)
    let begun: [AnswerParser.Piece] = [.call(name: "f"), .arguments("{"), .arguments("\""), .arguments("x")]
    #expect(pieces(#"<tool_call>{"name": "f", "arguments": {"x"#) == begun)
    // What may be the end of a call waits, and so does an end within a string.
    #expect(pieces(#"<tool_call>{"name": "f", "arguments": {"x</tool_cal"#) == begun)
    #expect(pieces(#"<tool_call>{"name": "f", "arguments": {"x</tool_call>y"#) == begun)
    #expect(pieces(#"<tool_call>{"name": "f", "arguments": {"x</tool_cally"#).count > begun.count)
    #expect(pieces(#"<tool_call>{"arguments": {"x": 1}, "name": "f"}"#).isEmpty)
    check(#"<tool_call>{"arguments": {"x": 1}, "name": "f"}</tool_call>"#, Parts(calls: [#"f {"x": 1}"#]))
  }

  @Test func callThatIsCutOff_isKnown() {
    for (text, isCut) in [
      (#"{"name": "f", "arguments": {"x": 1"#, true), (#"{"name": "f", "arguments": {"x": 1}"#, false),
      (#"{"name": "f""#, false), (#"{"name": "f", "arguments": {"x": y}}</tool_call>"#, false),
    ] {
      var parser = AnswerParser(beginsInThought: false, parsesTools: true, streamsCalls: true)
      _ = parser.append("<tool_call>" + text) + parser.finish()
      #expect(parser.hasCutCall == isCut, "\(text)")
    }
  }

  @Test func answerAfterTheBeginOfACall_isACallOrNothing() {
    let call = #"{"name": "f", "arguments": {"x": "</tool_call>"}}"#
    for length in 0...call.count {
      var parser = AnswerParser.afterBeginOfCall(streamsCalls: false)
      let pieces = parser.append(String(call.prefix(length))) + parser.finish()
      let expected: [AnswerParser.Piece] = [.call(name: "f"), .arguments(#"{"x": "</tool_call>"}"#)]
      #expect(pieces == (length == call.count ? expected : []))
    }
    var parser = AnswerParser.afterBeginOfCall(streamsCalls: true)
    let parts = joined(call.flatMap { parser.append(String($0)) } + parser.finish())
    #expect(parts == Parts(calls: [#"f {"x": "</tool_call>"}"#]) && !parser.hasCutCall)
  }
}
