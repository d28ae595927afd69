import WidebandCheckedInput

/// Checks of the kind of the next value in large JSON files, which are scanned without a tree.
extension JSONScanner {
  /// Reads an object, calling `member` with each key; `member` must read the value.
  ///
  /// - Parameters:
  ///   - what: the value's name in messages.
  ///   - path: the file's path, for messages.
  /// - Throws: `CheckpointError` if the next value is not an object.
  mutating func object(
    _ what: String, in path: String, _ member: (inout JSONScanner, [UInt8]) throws -> Void
  ) throws {
    guard isAtObject() else { throw CheckpointError.malformed(path, "\(what) is \(try summary()): expected an object") }
    try object(member)
  }

  /// Reads a string, unescaped.
  ///
  /// - Parameters:
  ///   - what: the value's name in messages.
  ///   - path: the file's path, for messages.
  /// - Returns: the content, and whether it is valid Unicode text, as ``string(into:)`` says.
  /// - Throws: `CheckpointError` if the next value is not a string.
  mutating func string(_ what: String, in path: String) throws -> (bytes: [UInt8], isText: Bool) {
    guard isAtString() else { throw CheckpointError.malformed(path, "\(what) is \(try summary()): expected a string") }
    var bytes: [UInt8] = []
    let isText = try string(into: &bytes)
    return (bytes, isText)
  }
}
