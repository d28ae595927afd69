/// The documents of a file in order, each whole or in blocks.
struct TextDocuments {
  private let reader: TextReader
  private let file: TextFile
  private let blockSize: Int?
  private var document: ArraySlice<UInt8>?

  /// The approximate maximum size of a document in bytes; a text of more than twice this is split, to bound memory use.
  static let maximumTextBytes = 1 << 26

  /// - Parameter blockSize: the approximate size of a block in bytes; nil for whole documents.
  init(_ file: TextFile, blockSize: Int?) throws {
    self.file = file
    self.blockSize = blockSize
    reader = try TextReader(file)
  }

  /// A document or a part of it.
  struct Block {
    /// UTF-8 text.
    let bytes: [UInt8]
    /// Whether this is the document's last block.
    let isLast: Bool
    /// The position in the file, for messages.
    let place: String
  }

  /// Bytes of the file that were read so far, before decompression.
  var position: Int { reader.position }

  /// The next block, or nil after the last; empty documents are skipped.
  ///
  /// - Throws: `DataError` for text that is not UTF-8, a line without a text in JSON, or a damaged gzip stream.
  mutating func next() throws -> Block? {
    switch file.format {
    case .text: try nextOfText()
    case .jsonLines: try nextOfLines()
    }
  }

  private func nextOfText() throws -> Block? {
    let offset = reader.offset
    let size = blockSize ?? Self.maximumTextBytes
    let count = TextBlock.length(of: try reader.peek(2 * size), size: size)
    guard count > 0 else { return nil }
    let bytes = reader.take(count)
    try validate(bytes, at: offset)
    let isLast = try blockSize == nil || reader.peek(1).isEmpty
    return Block(bytes: bytes, isLast: isLast, place: "the text from \(byte(offset)) on")
  }

  private mutating func nextOfLines() throws -> Block? {
    while document?.isEmpty ?? true {
      guard let text = try nextText() else { return nil }
      document = text[...]
    }
    guard let rest = document else { return nil }
    let count = blockSize.map { TextBlock.length(of: rest.prefix(2 * $0), size: $0) } ?? rest.count
    document = rest.dropFirst(count)
    return Block(
      bytes: Array(rest.prefix(count)), isLast: count == rest.count, place: "line \(reader.lineNumber)")
  }

  /// The number of the line that was read last, from 1.
  fileprivate var line: Int { reader.lineNumber }

  /// The text of the next line that is not blank, which may be empty; nil at the end.
  fileprivate func nextText() throws -> [UInt8]? {
    guard let (bytes, number, offset) = try reader.nonBlankLine() else { return nil }
    try validate(bytes, at: offset)
    return try TextLine(bytes, file: file.path, number: number).text()
  }

  private func byte(_ offset: Int) -> String {
    file.isCompressed ? "byte \(offset) of the unpacked text" : "byte \(offset)"
  }

  private func validate(_ bytes: [UInt8], at offset: Int) throws {
    guard let index = TextBlock.firstInvalid(in: bytes) else { return }
    let byte = String(bytes[index], radix: 16, uppercase: true)
    throw DataError.malformed(file.path, "\(self.byte(offset + index)) is 0x\(byte), which is not UTF-8")
  }
}

extension TextFile {
  /// All documents, each whole and with its line number, from 1; the document of a plain text file has line 1. Lines
  /// with an empty text are included.
  ///
  /// - Throws: `DataError` for a file that cannot be read, text that is not UTF-8, a line without a text in JSON, or a
  ///   file without documents.
  public func documents() throws -> [(line: Int, text: String)] {
    var blocks = try TextDocuments(self, blockSize: nil)
    var documents: [(line: Int, text: String)] = []
    switch format {
    case .text:
      while let block = try blocks.next() { documents.append((1, String(decoding: block.bytes, as: UTF8.self))) }
    case .jsonLines:
      while let text = try blocks.nextText() { documents.append((blocks.line, String(decoding: text, as: UTF8.self))) }
    }
    guard !documents.isEmpty else {
      throw DataError.insufficientText(path, "no text found: expected at least one document")
    }
    return documents
  }
}

/// Cutting and validation of UTF-8 text.
enum TextBlock {
  /// The length of the next block of about `size` bytes; `bytes` must be the rest of the text or at least `2 * size`
  /// long.
  ///
  /// The block ends after the first line feed from `size` bytes on, else before a space, else between two characters.
  static func length(of bytes: ArraySlice<UInt8>, size: Int) -> Int {
    guard bytes.count >= 2 * size else { return bytes.count }
    let region = bytes.dropFirst(size)
    if let end = region.firstIndex(of: 0x0A) { return end + 1 - bytes.startIndex }
    if let space = region.firstIndex(of: 0x20) { return space - bytes.startIndex }
    let start = region.firstIndex { $0 & 0xC0 != 0x80 } ?? region.endIndex
    return start - bytes.startIndex
  }

  /// The index of the first byte that is not part of well-formed UTF-8.
  static func firstInvalid(in bytes: [UInt8]) -> Int? {
    // The search for the position is slow, so well-formed text is recognized first.
    if String(validating: bytes, as: UTF8.self) != nil { return nil }
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    var index = 0
    while true {
      switch parser.parseScalar(from: &iterator) {
      case .valid(let scalar): index += scalar.count
      case .error, .emptyInput: return index
      }
    }
  }
}
