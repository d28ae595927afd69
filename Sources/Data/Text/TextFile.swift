import Foundation
import WidebandCheckedInput
import WidebandCheckpoint

/// A file of text in one of the supported formats.
public struct TextFile: Hashable, Sendable {
  /// Formats of text files, with the endings of their names.
  public enum Format: String, CaseIterable, Sendable {
    /// The file is one document.
    case text = ".txt"
    /// Each line is a JSON object whose string "text" or list "messages" is a document.
    case jsonLines = ".jsonl"
  }

  /// The path of the file.
  public let path: String
  /// The format.
  public let format: Format
  /// Whether the file is compressed with gzip.
  public let isCompressed: Bool
  /// The size on disk in bytes.
  public let size: Int

  /// The supported endings of file names.
  public static let extensions = ["", ".gz"].flatMap { end in Format.allCases.map { $0.rawValue + end } }

  /// The file at `path`, or nil if its name ends in none of `extensions`.
  init?(_ path: String) {
    let isCompressed = path.hasSuffix(".gz")
    let name = isCompressed ? path.dropLast(3) : path[...]
    guard let format = Format.allCases.first(where: { name.hasSuffix($0.rawValue) }) else { return nil }
    self.path = path
    self.format = format
    self.isCompressed = isCompressed
    size = sizeOfFile(path)
  }

  /// The files of `paths`, in order; a folder means all files in it and in its subfolders, sorted by path.
  ///
  /// - Returns: the files, and a note for each skipped file in a folder: its name ends in none of `extensions`, or it
  ///   is not a regular file. Hidden files are skipped without a note.
  /// - Throws: `DataError` for a path that does not exist or is neither a file nor a folder, a file with another name,
  ///   text without read permission, and if no file is found.
  public static func find(_ paths: [String]) throws -> (files: [TextFile], notes: [String]) {
    var files: [TextFile] = []
    var notes: [String] = []
    for path in paths {
      if isFolder(path) {
        try collect(path, &files, &notes)
      } else if !exists(path) {
        throw DataError.unreadable(path, "no such file or folder")
      } else if let kind = irregularKind(path) {
        throw DataError.unreadable(path, "is \(kind): expected a file or a folder")
      } else if let file = TextFile(path) {
        files.append(file)
      } else {
        throw DataError.unreadable(path, "expected a folder or a name that ends in \(list(extensions))")
      }
    }
    guard !files.isEmpty else {
      let leftOut = notes.first { !$0.hasSuffix(otherName) }.map { "; \($0)" } ?? ""
      throw DataError.insufficientText(
        paths.joined(separator: ", "), "no text found; looked for names that end in \(list(extensions))\(leftOut)")
    }
    return (files, notes)
  }

  private static func collect(_ folder: String, _ files: inout [TextFile], _ notes: inout [String]) throws {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted() } catch {
      throw DataError.unreadable(folder, "the folder cannot be read: \(reason(error))")
    }
    for name in names where !name.hasPrefix(".") {
      let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
      if let reason = try reasonToSkip(path) {
        notes.append("\(printable(path: path)): skipped, \(reason)")
      } else if isFolder(path) {
        try collect(path, &files, &notes)
      } else if let file = TextFile(path) {
        files.append(file)
      }
    }
  }

  private static let otherName = "the name does not end in \(list(extensions))"

  /// The reason for which an entry of a folder is skipped; nil if it is read.
  ///
  /// - Throws: `DataError` for text without read permission: skipping it would silently change the data.
  private static func reasonToSkip(_ path: String) throws -> String? {
    if isFolder(path) {
      // Following links to folders could loop forever.
      let isLink = (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil
      if isLink { return "a link to a folder" }
      guard access(path, R_OK | X_OK) == 0 else {
        throw DataError.unreadable(path, "the folder cannot be read: \(systemReason())")
      }
      return nil
    }
    if TextFile(path) == nil { return otherName }
    if !exists(path) { return "a link that leads nowhere" }
    // Reading a FIFO could block, and a device may have no end.
    if let kind = irregularKind(path) { return kind }
    guard access(path, R_OK) == 0 else { throw DataError.unreadable(path, "cannot be read: \(systemReason())") }
    return nil
  }

  private static func list(_ words: [String]) -> String {
    words.dropLast().joined(separator: ", ") + (words.last.map { " or \($0)" } ?? "")
  }

  /// Whether the first line that is not blank is a conversation: a JSON object with a key "messages" and no key
  /// "text".
  ///
  /// - Throws: `DataError` if the file cannot be read, or that line is not JSON.
  func holdsConversations() throws -> Bool {
    guard format == .jsonLines else { return false }
    // Text that is not UTF-8 is refused later, with its position.
    guard let (bytes, number, _) = try TextReader(self).nonBlankLine(), TextBlock.firstInvalid(in: bytes) == nil else {
      return false
    }
    return try TextLine(bytes, file: path, number: number).isConversation()
  }

  /// The checksum (CRC-32) of the file's bytes on disk.
  func checksum() throws -> UInt32 {
    let source = try ByteSource(path)
    var sum = Checksum()
    while case let piece = try source.next(), !piece.isEmpty { sum.add(piece) }
    return sum.value
  }
}
