/// Tells thoughts and calls of tools from the rest of an answer that arrives in pieces.
///
/// A thought stands between `<think>` and `</think>` at the beginning, a call between `<tool_call>` and `</tool_call>`.
/// Text that may be the beginning of a tag, and white space before one, is held back until more text decides.
struct AnswerParser: Sendable {
  /// A part of the answer.
  enum Piece: Equatable {
    case reasoning(String)
    case content(String)
    /// The beginning of a call.
    case call(name: String)
    /// A part of the arguments of the last call, in JSON.
    case arguments(String)
  }

  private enum State { case start, thought, answer, toolCall }

  private let parsesTools, streamsCalls: Bool
  private var state: State
  private var held: [UInt8] = []
  /// Whether line breaks at the beginning of what follows are left out.
  private var skipsLineBreaks = false
  private var hasCall = false
  private var call: CallParser

  private static let thought = (begin: Array("<think>".utf8), end: Array("</think>".utf8))

  /// The text before a call.
  static let beginOfCall = "<tool_call>\n"
  /// A parser of an answer to a prompt that ends with ``beginOfCall``. A grammar makes the answer a call without its end
  /// tag. What a call that was cut off has before its arguments is no text for a reader: it has no pieces.
  static func afterBeginOfCall(streamsCalls: Bool) -> AnswerParser {
    var parser = AnswerParser(beginsInThought: false, parsesTools: true, streamsCalls: streamsCalls)
    (parser.state, parser.call) = (.toolCall, CallParser(streams: streamsCalls, isWholeAnswer: true))
    return parser
  }

  /// - Parameters:
  ///   - beginsInThought: whether the prompt ends with the beginning of a thought.
  ///   - parsesTools: whether calls of tools are recognized.
  ///   - streamsCalls: whether their arguments are returned in parts, as they arrive.
  init(beginsInThought: Bool, parsesTools: Bool, streamsCalls: Bool) {
    (self.parsesTools, self.streamsCalls) = (parsesTools, streamsCalls)
    call = CallParser(streams: streamsCalls, isWholeAnswer: false)
    state = beginsInThought ? .thought : .start
    skipsLineBreaks = beginsInThought
  }

  /// Takes text, and returns what is certain.
  mutating func append(_ text: String) -> [Piece] {
    held += text.utf8
    var pieces: [Piece] = []
    while true {
      let (more, isDone) = step()
      pieces += more
      if isDone { return pieces }
    }
  }

  /// The rest, once no more text can come.
  mutating func finish() -> [Piece] {
    defer { held = [] }
    switch state {
    case .start: return content(held[...])
    case .answer: return hasCall && held.allSatisfy(Self.isSpace) ? [] : content(held[...])
    case .thought: return reasoning(held[...])
    case .toolCall:
      let pieces = leaveCall(call.finish())
      return held.isEmpty ? pieces : pieces + append("") + finish()
    }
  }

  /// Whether the answer ended within the arguments of its last call.
  var hasCutCall: Bool { call.isCut }

  /// Decides on a part of the held text; `isDone` where the rest must wait.
  private mutating func step() -> (pieces: [Piece], isDone: Bool) {
    switch state {
    case .start:
      let text = held.drop(while: Self.isSpace)
      if text.starts(with: Self.thought.begin) {
        held = Array(text.dropFirst(Self.thought.begin.count))
        (state, skipsLineBreaks) = (.thought, true)
        return ([], false)
      }
      if Self.thought.begin.starts(with: text) { return ([], true) }
      state = .answer
      return ([], false)
    case .thought:
      skipLineBreaks()
      guard let end = held.firstRange(of: Self.thought.end) else {
        return (reasoning(release(before: Self.thought.end, Self.isLineBreak)), true)
      }
      let text = held[..<end.lowerBound]
      let thought = text.dropLast(text.reversed().prefix(while: Self.isLineBreak).count)
      held.removeFirst(end.upperBound)
      (state, skipsLineBreaks) = (.answer, true)
      return (reasoning(thought), false)
    case .answer:
      skipLineBreaks()
      guard parsesTools else { return (content(release(before: [], Self.isSpace)), true) }
      guard let begin = held.firstRange(of: CallParser.beginTag) else {
        return (content(release(before: CallParser.beginTag, Self.isSpace)), true)
      }
      let text = held[..<begin.lowerBound]
      let answer = text.dropLast(text.reversed().prefix(while: Self.isSpace).count)
      held.removeFirst(begin.upperBound)
      (state, call) = (.toolCall, CallParser(streams: streamsCalls, isWholeAnswer: false))
      return (content(answer), false)
    case .toolCall:
      let step = call.append(held)
      return (leaveCall(step), step.rest == nil)
    }
  }

  /// Goes on after a call, if it is over.
  private mutating func leaveCall(_ step: CallParser.Step) -> [Piece] {
    held = step.rest ?? []
    if step.rest != nil { state = .answer }
    hasCall = hasCall || step.pieces.contains { if case .call = $0 { true } else { false } }
    return step.pieces
  }

  private mutating func skipLineBreaks() {
    guard skipsLineBreaks else { return }
    held.removeFirst(held.prefix(while: Self.isLineBreak).count)
    skipsLineBreaks = held.isEmpty
  }

  /// Removes and returns the held text up to what may be the beginning of a tag, or space before one.
  private mutating func release(before tag: [UInt8], _ isSpace: (UInt8) -> Bool) -> ArraySlice<UInt8> {
    guard !tag.isEmpty else {
      defer { held = [] }
      return held[...]
    }
    let longest = min(tag.count - 1, held.count)
    let begun = stride(from: longest, to: 0, by: -1).first { held.suffix($0).elementsEqual(tag.prefix($0)) } ?? 0
    let before = held.dropLast(begun)
    let free = before.count - before.reversed().prefix(while: isSpace).count
    defer { held.removeFirst(free) }
    return held[..<free]
  }

  private func content(_ bytes: ArraySlice<UInt8>) -> [Piece] {
    bytes.isEmpty ? [] : [.content(String(decoding: bytes, as: UTF8.self))]
  }

  private func reasoning(_ bytes: ArraySlice<UInt8>) -> [Piece] {
    bytes.isEmpty ? [] : [.reasoning(String(decoding: bytes, as: UTF8.self))]
  }

  private static func isLineBreak(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") }
  private static func isSpace(_ byte: UInt8) -> Bool {
    isLineBreak(byte) || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
  }
}

/// 24 random hexadecimal digits.
func randomID() -> String {
  (0..<3).map { _ in
    let digits = String(UInt32.random(in: 0 ... .max), radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }.joined()
}
