/// Finds the arguments and the end of a call's text, `{"name": …, "arguments": {…}}` and an end tag, as it arrives.
struct CallScanner: Sendable {
  /// What ends a call.
  static let endTag = Array("</tool_call>".utf8)

  /// The bytes that have been read: the rest may be the beginning of an end tag.
  private(set) var position = 0
  /// Where the object of the arguments begins, and where the text goes on after it.
  private(set) var argumentsStart, argumentsEnd: Int?
  /// The first end tag, and the first one that is not a part of a JSON string.
  private(set) var firstTag, end: Int?

  /// Whether an end tag is expected.
  private let hasEndTag: Bool
  private var depth = 0
  private var isInString = false, isEscaped = false
  private var string = 0..<0
  private var isArguments = false

  init(hasEndTag: Bool) { self.hasEndTag = hasEndTag }

  /// Reads on.
  ///
  /// - Parameter text: all of the text, which begins with what it had before.
  mutating func scan(_ text: [UInt8]) {
    while end == nil, position < text.count {
      let byte = text[position]
      if hasEndTag, byte == UInt8(ascii: "<") {
        let start = text[position...].prefix(Self.endTag.count)
        if start.elementsEqual(Self.endTag) {
          firstTag = firstTag ?? position
          if !isInString {
            end = position
            return
          }
        } else if Self.endTag.starts(with: start) {
          return
        }
      }
      take(byte, of: text)
      position += 1
    }
  }

  private mutating func take(_ byte: UInt8, of text: [UInt8]) {
    if isInString {
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "\"") {
        isInString = false
        string = string.lowerBound..<position
      }
      return
    }
    switch byte {
    case UInt8(ascii: "\""): (isInString, string) = (true, position + 1..<position + 1)
    case UInt8(ascii: ":") where depth == 1: isArguments = text[string].elementsEqual("arguments".utf8)
    case UInt8(ascii: ",") where depth == 1: isArguments = false
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      if depth == 1, isArguments, argumentsStart == nil, byte == UInt8(ascii: "{") { argumentsStart = position }
      depth += 1
    case UInt8(ascii: "}"), UInt8(ascii: "]"):
      depth -= 1
      if depth == 1, argumentsStart != nil, argumentsEnd == nil { argumentsEnd = position + 1 }
    default: break
    }
  }
}
