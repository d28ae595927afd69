import Foundation

/// A new folder for one test, deleted with this object.
public final class TemporaryFolder: Sendable {
  /// The URL of the folder.
  public let url: URL
  /// The path of the folder.
  public var path: String { url.path }

  /// Creates a folder.
  public init() throws {
    url = FileManager.default.temporaryDirectory.standardizedFileURL.appending(path: "wideband-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// The path of `name` in the folder.
  public func callAsFunction(_ name: String) -> String { url(name).path }

  /// The URL of `name` in the folder.
  public func url(_ name: String) -> URL { url.appending(path: name) }

  /// Writes a file, with the folders above it, and returns its path.
  @discardableResult
  public func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let file = url(name)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: file)
    return file.path
  }

  /// Writes a text file, with the folders above it, and returns its path.
  @discardableResult
  public func write(_ name: String, text: String) throws -> String { try write(name, text.utf8) }

  /// The text of a file.
  public func read(_ name: String) throws -> String { String(decoding: try Data(contentsOf: url(name)), as: UTF8.self) }

  /// The names in a folder, including hidden ones, sorted.
  public func names(_ name: String = ".") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: self(name)).sorted()
  }

  /// The size of a file in bytes; 0 if it does not exist.
  public func size(of name: String) throws -> Int { exists(name) ? try Data(contentsOf: url(name)).count : 0 }

  /// Whether a file or folder exists.
  public func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self(name)) }
}
