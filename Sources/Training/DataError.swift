import CheckedInput

/// What is wrong with text to train on, or with the tokens prepared from it.
///
/// The description is one sentence that names the file or folder, the value found and what was expected.
public struct DataError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The sentence shown to the user.
  public let description: String

  init(_ path: String, _ sentence: String) { description = "\(Self.printed(path)): \(sentence)" }

  init(_ description: String) { self.description = description }

  /// A path as messages and notes show it: whole, and nothing in it moves a terminal's cursor.
  static func printed(_ path: String) -> String { printable(path, limit: 4096) }
}
