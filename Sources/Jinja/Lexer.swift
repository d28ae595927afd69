/// Splits a template into tokens, with the white space rules of Jinja's `trim_blocks` and `lstrip_blocks`, which
/// transformers sets for chat templates.
struct Lexer {
  let source: [UInt8]
  var position = 0
  var line = 1
  var tokens: [Token] = []
  /// Whether the text so far ends with a line feed that a tag has removed, or is empty.
  private var isAtLineStart = true

  static func tokens(of template: String) throws -> [Token] {
    var lexer = Lexer(template)
    return try lexer.run()
  }

  private init(_ template: String) {
    var bytes = template.replacing("\r\n", with: "\n").replacing("\r", with: "\n").utf8[...]
    if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    source = Array(bytes)
  }

  private mutating func run() throws -> [Token] {
    while position < source.count {
      let tag = nextTag()
      var text = Array(source[position..<(tag?.start ?? source.count)])
      let lines = text.count { $0 == UInt8(ascii: "\n") }
      guard let tag else {
        add(.text(text))
        break
      }
      let sign = tag.start + 2 < source.count ? source[tag.start + 2] : 0
      if sign == UInt8(ascii: "-") {
        text = MarkedText(bytes: text, isInput: false).trimmed(start: false, where: \.isPythonSpace).bytes
      } else if sign != UInt8(ascii: "+"), tag.kind != .output {
        stripIndentation(&text)
      }
      if !text.isEmpty { add(.text(text)) }
      line += lines
      let signWidth = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") ? 1 : 0
      position = tag.start + 2 + signWidth
      isAtLineStart = false
      switch tag.kind {
      case .comment: try skipComment()
      case .output: try readTag(.outputStart, end: .outputEnd, "}}")
      case .block: if try !rawBlock() { try readTag(.blockStart, end: .blockEnd, "%}") }
      }
    }
    add(.end)
    return tokens
  }

  mutating func add(_ kind: Token.Kind) { tokens.append(Token(kind: kind, line: line)) }

  private enum TagKind { case output, block, comment }

  private func nextTag() -> (kind: TagKind, start: Int)? {
    for index in position..<max(position, source.count - 1) where source[index] == UInt8(ascii: "{") {
      switch source[index + 1] {
      case UInt8(ascii: "{"): return (.output, index)
      case UInt8(ascii: "%"): return (.block, index)
      case UInt8(ascii: "#"): return (.comment, index)
      default: continue
      }
    }
    return nil
  }

  /// lstrip_blocks: white space between the start of a line and a block is removed.
  private func stripIndentation(_ text: inout [UInt8]) {
    let start = text.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    guard start > 0 || isAtLineStart else { return }
    if String(decoding: text[start...], as: UTF8.self).unicodeScalars.allSatisfy(\.isPythonSpace) {
      text.removeSubrange(start...)
    }
  }

  /// After the end of a tag: `-` removes all white space, and without a sign a block removes one line feed.
  mutating func finishTag(sign: UInt8, trimsLineFeed: Bool) {
    let start = position
    if sign == UInt8(ascii: "-") {
      let rest = String(decoding: source[position...], as: UTF8.self).unicodeScalars.prefix(while: \.isPythonSpace)
      position += String(rest).utf8.count
    } else if sign != UInt8(ascii: "+"), trimsLineFeed, position < source.count, source[position] == UInt8(ascii: "\n")
    {
      position += 1
    }
    line += source[start..<position].count { $0 == UInt8(ascii: "\n") }
    isAtLineStart = position > start && source[position - 1] == UInt8(ascii: "\n")
  }

  private mutating func skipComment() throws {
    guard let end = find("#}", from: position) else { throw failure("a comment without '#}'") }
    line += source[position..<end].count { $0 == UInt8(ascii: "\n") }
    let sign = end > position ? source[end - 1] : 0
    position = end + 2
    finishTag(sign: sign, trimsLineFeed: true)
  }

  /// `{% raw %}…{% endraw %}`: text that holds tags.
  private mutating func rawBlock() throws -> Bool {
    guard let start = rawTag("raw", at: position) else { return false }
    line += source[position..<start.end].count { $0 == UInt8(ascii: "\n") }
    position = start.end
    finishTag(sign: start.sign, trimsLineFeed: false)
    var search = position
    while let tag = find("{%", from: search) {
      let sign = tag + 2 < source.count ? source[tag + 2] : 0
      let isSigned = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
      guard let end = rawTag("endraw", at: tag + 2 + (isSigned ? 1 : 0)) else {
        search = tag + 2
        continue
      }
      var text = Array(source[position..<tag])
      let lines = source[position..<end.end].count { $0 == UInt8(ascii: "\n") }
      if sign == UInt8(ascii: "-") {
        text = MarkedText(bytes: text, isInput: false).trimmed(start: false, where: \.isPythonSpace).bytes
      } else if !isSigned {
        stripIndentation(&text)
      }
      if !text.isEmpty { add(.text(text)) }
      line += lines
      position = end.end
      finishTag(sign: end.sign, trimsLineFeed: true)
      return true
    }
    throw failure("'raw' without 'endraw'")
  }

  /// A tag that holds one word only, from the end of its opening; nil for another one.
  private func rawTag(_ word: String, at start: Int) -> (end: Int, sign: UInt8)? {
    var index = start
    while index < source.count, Unicode.Scalar(source[index]).isPythonSpace { index += 1 }
    guard source[index...].starts(with: word.utf8) else { return nil }
    index += word.utf8.count
    while index < source.count, Unicode.Scalar(source[index]).isPythonSpace { index += 1 }
    let isSigned = index < source.count && (source[index] == UInt8(ascii: "-") || source[index] == UInt8(ascii: "+"))
    let sign = isSigned ? source[index] : 0
    if isSigned { index += 1 }
    return source[index...].starts(with: "%}".utf8) ? (index + 2, sign) : nil
  }

  private func find(_ text: String, from start: Int) -> Int? {
    let text = Array(text.utf8)
    return (start..<max(start, source.count - 1)).first { source[$0] == text[0] && source[$0 + 1] == text[1] }
  }

  func failure(_ message: String) -> JinjaError { .syntax(line: line, message) }
}
