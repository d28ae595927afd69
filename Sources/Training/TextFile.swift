import CZlib
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
  ///   `extensions`. Hidden files are left out without a note.
  /// - Throws: `DataError` for a path that does not exist, a file with another name, and when nothing is found.
  public static func find(_ paths: [String]) throws -> (files: [TextFile], notes: [String]) {
    var files: [TextFile] = []
    var notes: [String] = []
    for path in paths {
      if FileManager.default.isFolder(path) {
        try collect(path, &files, &notes)
      } else if !FileManager.default.fileExists(atPath: path) {
        throw DataError(path, "no such file or folder")
      } else if let file = TextFile(path) {
        files.append(file)
      } else {
        throw DataError(path, "expected a folder or a name that ends in \(list(extensions))")
      }
    }
    guard !files.isEmpty else {
      throw DataError(paths.joined(separator: ", "), "no text found; looked for names that end in \(list(extensions))")
    }
    return (files, notes)
  }

  private static func collect(_ folder: String, _ files: inout [TextFile], _ notes: inout [String]) throws {
    let names: [String]
    do { names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted() } catch {
      throw DataError(folder, "the folder cannot be read: \(error.localizedDescription)")
    }
    for name in names where !name.hasPrefix(".") {
      let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
      if FileManager.default.isFolder(path) {
        // A link to a folder may lead back to one above it, and then there would be no end.
        if (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil {
          notes.append("\(path): skipped, a link to a folder")
        } else {
          try collect(path, &files, &notes)
        }
      } else if let file = TextFile(path) {
        files.append(file)
      } else {
        notes.append("\(path): skipped, the name does not end in \(list(extensions))")
      }
    }
  }

  private static func list(_ words: [String]) -> String {
    words.dropLast().joined(separator: ", ") + (words.last.map { " or \($0)" } ?? "")
  }

  /// Whether the first line is a conversation: a JSON object with a key "messages" and none "text".
  func holdsConversations() throws -> Bool {
    guard form == .jsonLines else { return false }
    let reader = try TextReader(self)
    while let line = try reader.line() {
      guard line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else { continue }
      let object = try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
      return object?["messages"] != nil && object?["text"] == nil
    }
    return false
  }

  /// The checksum (CRC-32) of the file's bytes as they lie on the disk.
  func checksum() throws -> UInt32 {
    guard let file = FileHandle(forReadingAtPath: path) else {
      throw DataError(path, "cannot be read: \(systemReason())")
    }
    defer { try? file.close() }
    var sum: UInt = 0
    do {
      while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty {
        sum = piece.withUnsafeBytes { crc32_z(sum, $0.bindMemory(to: UInt8.self).baseAddress, $0.count) }
      }
    } catch { throw DataError(path, "cannot be read: \(error.localizedDescription)") }
    return UInt32(truncatingIfNeeded: sum)
  }
}
