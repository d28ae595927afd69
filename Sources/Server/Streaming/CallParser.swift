import WidebandCheckedInput

/// Reads a call of a tool, `{"name": …, "arguments": {…}}`, as it arrives after its tag.
///
/// In a stream the call begins with its arguments, if its name comes before them. From there on nothing takes it back:
/// arguments that turn out not to be JSON are those that the model wrote, as with OpenAI, and their client has to look.
/// Otherwise text that is no call, up to the first end tag, is content.
struct CallParser: Sendable {
  /// Parts of the answer; `rest` is what follows the call, nil while that is not known.
  typealias Step = (pieces: [AnswerParser.Piece], rest: [UInt8]?)

  /// The text before a call.
  static let beginTag = Array("<tool_call>".utf8)

  /// Whether the answer ended within the arguments of a call that had begun.
  private(set) var isCut = false

  private let streams: Bool
  private let isWholeAnswer: Bool
  private var text: [UInt8] = []
  private var scanner: CallScanner
  /// Up to where the arguments have been returned; nil where the call has not begun.
  private var sent: Int?

  /// - Parameters:
  ///   - streams: whether the parts of a call are returned as they arrive.
  ///   - isWholeAnswer: whether a grammar makes the answer a call, without its tags.
  init(streams: Bool, isWholeAnswer: Bool) {
    (self.streams, self.isWholeAnswer) = (streams, isWholeAnswer)
    scanner = CallScanner(hasEndTag: !isWholeAnswer)
  }

  /// Takes text.
  mutating func append(_ more: [UInt8]) -> Step {
    text += more
    scanner.scan(text)
    guard let end = scanner.end else { return (arguments(before: scanner.firstTag ?? scanner.position), nil) }
    if let call = wholeCall(text[..<end]) { return (call, rest(after: end)) }
    return brokenCall(at: scanner.firstTag ?? end)
  }

  /// The rest, once no more text can come.
  mutating func finish() -> Step {
    if let call = wholeCall(text[...]) { return (call, []) }
    if let tag = scanner.firstTag { return brokenCall(at: tag) }
    let pieces = arguments(before: text.count)
    isCut = sent != nil && scanner.argumentsEnd == nil
    return (sent == nil && !isWholeAnswer ? [.content(Self.string(Self.beginTag + text))] : pieces, [])
  }

  /// Text that is no call. What seems to be a string may be none: the text after the first tag can have further calls.
  private mutating func brokenCall(at tag: Int) -> Step {
    let pieces = arguments(before: tag)
    let rest = rest(after: tag)
    guard sent != nil else {
      return ([.content(Self.string(Self.beginTag + text[..<tag] + CallScanner.endTag))], rest)
    }
    let after = Self.string(text[min(tag, scanner.argumentsEnd ?? tag)..<tag])
    let isEnd = after.allSatisfy { $0 == "}" || $0.isWhitespace }
    return (pieces + (isEnd ? [] : [.content(after)]), rest)
  }

  private func rest(after tag: Int) -> [UInt8] { Array(text[(tag + CallScanner.endTag.count)...]) }

  /// The parts of a valid call that have not been returned; nil for anything else.
  private mutating func wholeCall(_ text: ArraySlice<UInt8>) -> [AnswerParser.Piece]? {
    guard let call = Self.members(text), case .string(let name)? = call["name"] else { return nil }
    if sent != nil { return arguments(before: text.endIndex) }
    let range = scanner.argumentsStart.flatMap { start in scanner.argumentsEnd.map { start..<$0 } }
    let arguments = range.map { Self.string(text[$0]) } ?? (call["arguments"] ?? [:]).text(spaced: true)
    return [.call(name: name), .arguments(arguments)]
  }

  /// The arguments that have arrived in a stream and have not been returned, up to a position.
  private mutating func arguments(before limit: Int) -> [AnswerParser.Piece] {
    guard streams, let start = scanner.argumentsStart else { return [] }
    var pieces: [AnswerParser.Piece] = []
    if sent == nil {
      guard case .string(let name)? = Self.members(text[..<start] + Array("{}}".utf8))?["name"] else { return [] }
      pieces.append(.call(name: name))
      sent = start
    }
    let end = min(limit, scanner.argumentsEnd ?? limit)
    if let begin = sent, begin < end {
      pieces.append(.arguments(Self.string(text[begin..<end])))
      sent = end
    }
    return pieces
  }

  private static func members(_ text: some Collection<UInt8>) -> JSONObject? {
    guard case .object(let members)? = try? JSONValue(parsing: text, file: "tool call") else { return nil }
    return members
  }

  private static func string(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
}
