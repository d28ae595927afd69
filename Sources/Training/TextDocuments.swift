import Foundation

/// The documents of a file, one after the other, each whole or in blocks.
struct TextDocuments {
  private let reader: TextReader
  private let file: TextFile
  private let blockSize: Int?
  private let keepsEmpty: Bool
  /// Lines that were read so far.
  private(set) var line = 0
  private var document: ArraySlice<UInt8>?
  private var documentOffset = 0

  /// - Parameters:
  ///   - blockSize: about how many bytes a block has; nil for whole documents.
  ///   - keepsEmpty: whether a line whose text is empty is a document.
  init(_ file: TextFile, blockSize: Int?, keepsEmpty: Bool = false) throws {
    self.file = file
    self.blockSize = blockSize
    self.keepsEmpty = keepsEmpty
    reader = try TextReader(file)
  }

  /// A document or a part of it.
  struct Block {
    /// UTF-8 text.
    let bytes: [UInt8]
    /// Whether the document ends here.
    let isLast: Bool
  }

  /// Bytes of the file on the disk that were read so far.
  var position: Int { reader.position }

  /// The next block, or nil after the last; documents without text do not appear unless they are to be kept.
  ///
  /// - Throws: `DataError` for text that is not UTF-8, a line that is not such a JSON object, a damaged gzip stream.
  mutating func next() throws -> Block? {
    switch file.form {
    case .text: try nextOfText()
    case .jsonLines: try nextOfLines()
    }
  }

  private func nextOfText() throws -> Block? {
    let offset = reader.offset
    let count: Int
    if let blockSize {
      count = TextBlock.length(of: try reader.peek(2 * blockSize), size: blockSize)
    } else {
      count = try reader.peek(Int.max).count
    }
    guard count > 0 else { return nil }
    let bytes = reader.take(count)
    try validate(bytes, at: offset)
    return Block(bytes: bytes, isLast: try reader.peek(1).isEmpty)
  }

  private mutating func nextOfLines() throws -> Block? {
    while document?.isEmpty ?? true {
      let offset = reader.offset
      guard let bytes = try reader.line() else { return nil }
      line += 1
      try validate(bytes, at: offset)
      guard !bytes.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) else { continue }
      document = try text(of: bytes)[...]
      if keepsEmpty { break }
    }
    guard let rest = document else { return nil }
    let count = blockSize.map { TextBlock.length(of: rest.prefix(2 * $0), size: $0) } ?? rest.count
    document = rest.dropFirst(count)
    return Block(bytes: Array(rest.prefix(count)), isLast: count == rest.count)
  }

  private struct Line: Decodable {
    let text: String
  }

  private func text(of json: [UInt8]) throws -> [UInt8] {
    let problem: String
    do {
      return Array(try JSONDecoder().decode(Line.self, from: Data(json)).text.utf8)
    } catch DecodingError.keyNotFound {
      problem = "there is no key \"text\""
    } catch DecodingError.typeMismatch(_, let context) where context.codingPath.isEmpty {
      problem = "expected a JSON object with a key \"text\""
    } catch DecodingError.typeMismatch, DecodingError.valueNotFound {
      problem = "the value of \"text\" is no string"
    } catch {
      problem = "not valid JSON"
    }
    throw DataError(file.path, "line \(line): \(problem)")
  }

  private func validate(_ bytes: [UInt8], at offset: Int) throws {
    guard let index = TextBlock.firstInvalid(in: bytes) else { return }
    let byte = String(bytes[index], radix: 16, uppercase: true)
    let place = file.isCompressed ? "byte \(offset + index) of the unpacked text" : "byte \(offset + index)"
    throw DataError(file.path, "\(place) is 0x\(byte), which is not UTF-8")
  }
}

extension TextFile {
  /// All its documents, each whole and with the number of its line, from 1; that of a text that is the whole file is 1. A
  /// line whose text is empty is a document too.
  ///
  /// - Throws: `DataError` for a file that cannot be read, text that is not UTF-8, a line that is not such a JSON object,
  ///   and a file without a document.
  public func documents() throws -> [(line: Int, text: String)] {
    var blocks = try TextDocuments(self, blockSize: nil, keepsEmpty: true)
    var documents: [(line: Int, text: String)] = []
    while let block = try blocks.next() {
      documents.append((max(blocks.line, 1), String(decoding: block.bytes, as: UTF8.self)))
    }
    guard !documents.isEmpty else { throw DataError(path, "no text found: expected at least one document") }
    return documents
  }
}

/// Where text can be cut, and whether it is text.
enum TextBlock {
  /// How many of `bytes`, all that is left of a text or at least twice `size`, make the next block of about `size`.
  ///
  /// The cut is behind the first line feed after `size` bytes, else before a space, else between two characters.
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
    // Decoding repairs what is ill-formed, so only then do the bytes differ; the search for the place is slow.
    var repaired = String(decoding: bytes, as: UTF8.self)
    let isValid = repaired.withUTF8 { text in
      bytes.withUnsafeBufferPointer { bytes in
        guard let first = bytes.baseAddress, let second = text.baseAddress else { return bytes.isEmpty }
        return text.count == bytes.count && memcmp(first, second, bytes.count) == 0
      }
    }
    if isValid { return nil }
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
