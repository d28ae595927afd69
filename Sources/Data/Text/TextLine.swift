import WidebandCheckedInput

/// A line of a JSON Lines file: a text, `{"text": "…"}`, or a conversation, `{"messages": […]}`.
///
/// Other keys may have any values. The last of equal keys counts.
struct TextLine {
  private let bytes: [UInt8]
  private let file: String
  private let number: Int

  /// - Parameters:
  ///   - bytes: valid UTF-8.
  ///   - number: the line number in `file`.
  init(_ bytes: [UInt8], file: String, number: Int) {
    self.bytes = bytes
    self.file = file
    self.number = number
  }

  /// Whether the object has a key "messages" and no key "text".
  ///
  /// - Throws: `DataError` if the line is not JSON.
  func isConversation() throws -> Bool {
    var (hasText, hasMessages) = (false, false)
    try read { scanner, key in
      hasText = hasText || key.elementsEqual("text".utf8)
      hasMessages = hasMessages || key.elementsEqual("messages".utf8)
      try scanner.skip()
    }
    return hasMessages && !hasText
  }

  /// The string under the key "text", as UTF-8.
  ///
  /// - Throws: `DataError` if the line is not JSON, not an object, or has no such string.
  func text() throws -> [UInt8] {
    var text: [UInt8] = []
    var problem: String? = "there is no key 'text'"
    let isObject = try read { scanner, key in
      guard key.elementsEqual("text".utf8) else { return try scanner.skip() }
      text.removeAll(keepingCapacity: true)
      guard scanner.isAtString() else {
        problem = "text is \(try scanner.value().summary): expected a string"
        return
      }
      let isText = try scanner.string(into: &text)
      problem = isText ? nil : "text is \(JSONValue.loneSurrogate.summary): expected text"
    }
    guard isObject else {
      throw DataError.malformed(file, "line \(number) is no object: expected one with a key 'text'")
    }
    if let problem { throw DataError.malformed(file, "line \(number): \(problem)") }
    return text
  }

  /// Reads the members; false if the line is not an object.
  @discardableResult
  private func read(_ member: (inout JSONScanner, [UInt8]) throws -> Void) throws -> Bool {
    do {
      return try bytes.withUnsafeBufferPointer { bytes in
        var scanner = JSONScanner(bytes, file: printable(path: file), line: number)
        let isObject = scanner.isAtObject()
        if isObject { try scanner.object(member) } else { try scanner.skip() }
        try scanner.end()
        return isObject
      }
    } catch let error as InputError { throw DataError.malformed(path: file, sentence: error.description) }
  }
}
