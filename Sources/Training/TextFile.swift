import CZlib
import CheckedInput
import Foundation

/// A file of text in one of the forms that can be read.
public struct TextFile: Hashable, Sendable {
  /// How documents lie in a file.
  public enum Form: Hashable, Sendable {
    /// The file is one document.
    case text
    /// Every line is a JSON object, and the string under its key "text" or the list under "messages" is a document.
    case jsonLines
  }

  /// Where the file is.
  public let path: String
  /// How documents lie in it.
  public let form: Form
  /// Whether it is compressed with gzip.
  public let isCompressed: Bool
  /// Bytes on the disk.
  public let size: Int

  /// What a readable file's name ends in.
  public static let extensions = [".txt", ".jsonl", ".txt.gz", ".jsonl.gz"]

  /// The file at `path`, or nil if its name ends in none of `extensions`.
  init?(_ path: String) {
    let isCompressed = path.hasSuffix(".gz")
    let name = isCompressed ? path.dropLast(3) : path[...]
    guard name.hasSuffix(".txt") || name.hasSuffix(".jsonl") else { return nil }
    self.path = path
    self.isCompressed = isCompressed
    form = name.hasSuffix(".txt") ? .text : .jsonLines
    size = FileManager.default.sizeOfFile(path)
  }

  /// The files that `paths` name, in order; folders stand for all files below them, sorted by path.
  ///
  /// - Returns: the files, and a note for each file in a folder that is left out because its name ends in none of
  ///   `extensions` or is no regular file. Hidden files are left out without a note.
  /// - Throws: `DataError` for a path that does not exist or is neither file nor folder, a file with another name, text
  ///   that may not be read, and when nothing is found.
  public static func find(_ paths: [String]) throws -> (files: [TextFile], notes: [String]) {
    var files: [TextFile] = []
    var notes: [String] = []
    for path in paths {
      if FileManager.default.isFolder(path) {
        try collect(path, &files, &notes)
      } else if !isThere(path) {
        throw DataError(path, "no such file or folder")
      } else if let kind = irregularKind(path) {
        throw DataError(path, "is \(kind): expected a file or a folder")
      } else if let file = TextFile(path) {
        files.append(file)
      } else {
        throw DataError(path, "expected a folder or a name that ends in \(list(extensions))")
      }
    }
    guard !files.isEmpty else {
      let leftOut = notes.first { !$0.hasSuffix(otherName) }.map { "; \($0)" } ?? ""
      throw DataError(
        paths.joined(separator: ", "), "no text found; looked for names that end in \(list(extensions))\(leftOut)")
    }
    return (files, notes)
  }

  private static func collect(_ folder: String, _ files: inout [TextFile], _ notes: inout [String]) throws {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted() } catch {
      throw DataError(folder, "the folder cannot be read: \(reason(error))")
    }
    for name in names where !name.hasPrefix(".") {
      let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
      if let reason = try whyLeftOut(path) {
        notes.append("\(DataError.printed(path)): skipped, \(reason)")
      } else if FileManager.default.isFolder(path) {
        try collect(path, &files, &notes)
      } else if let file = TextFile(path) {
        files.append(file)
      }
    }
  }

  private static let otherName = "the name does not end in \(list(extensions))"

  /// Why something in a folder is not read; nil if it is.
  ///
  /// - Throws: `DataError` for text that would be read if it were allowed: without it the data would be other data.
  private static func whyLeftOut(_ path: String) throws -> String? {
    if FileManager.default.isFolder(path) {
      // A link to a folder may lead back to one above it, and then there would be no end.
      let isLink = (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil
      if isLink { return "a link to a folder" }
      guard access(path, R_OK | X_OK) == 0 else {
        throw DataError(path, "the folder cannot be read: \(systemReason())")
      }
      return nil
    }
    if TextFile(path) == nil { return otherName }
    if !isThere(path) { return "a link that leads nowhere" }
    // A FIFO would be waited for, and a device may have no end.
    if let kind = irregularKind(path) { return "\(kind)" }
    guard access(path, R_OK) == 0 else { throw DataError(path, "cannot be read: \(systemReason())") }
    return nil
  }

  private static func list(_ words: [String]) -> String {
    words.dropLast().joined(separator: ", ") + (words.last.map { " or \($0)" } ?? "")
  }

  /// Whether the first line that is not blank is a conversation: a JSON object with a key "messages" and none "text".
  ///
  /// - Throws: `DataError` if the file cannot be read, or that line is not JSON.
  func holdsConversations() throws -> Bool {
    guard form == .jsonLines else { return false }
    var lines = try ConversationLines(self)
    // Text that is not UTF-8 is refused, with the place, where it is read.
    guard let (number, bytes) = try lines.next(), TextBlock.firstInvalid(in: bytes) == nil else { return false }
    return try TextLine(bytes, file: path, number: number).isConversation()
  }

  /// The checksum (CRC-32) of the file's bytes as they are on the disk.
  func checksum() throws -> UInt32 {
    let source = try ByteSource(path)
    var sum: UInt = 0
    while case let piece = try source.next(), !piece.isEmpty {
      sum = piece.withUnsafeBufferPointer { crc32_z(sum, $0.baseAddress, $0.count) }
    }
    return UInt32(truncatingIfNeeded: sum)
  }
}
