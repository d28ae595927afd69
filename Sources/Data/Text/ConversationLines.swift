/// The numbered non-blank lines of a file of conversations.
struct ConversationLines {
  private let reader: TextReader

  /// - Throws: `DataError` if the file cannot be opened.
  init(_ file: TextFile) throws { reader = try TextReader(file) }

  /// Bytes of the file that were read so far, before decompression.
  var position: Int { reader.position }

  /// The next line and its number, from 1; nil at the end.
  mutating func next() throws -> (number: Int, bytes: [UInt8])? {
    while let bytes = try reader.line() {
      if !bytes.isBlankLine { return (reader.lineNumber, bytes) }
    }
    return nil
  }
}

extension [UInt8] {
  /// Whether the line contains only white space as JSON defines it.
  var isBlankLine: Bool { allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }
}
