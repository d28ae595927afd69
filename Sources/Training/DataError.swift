/// What is wrong with text to train on, or with the tokens prepared from it.
///
/// The description is one sentence that names the file or folder, the value found and what was expected.
public struct DataError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The sentence shown to the user.
  public let description: String

  init(_ path: String, _ sentence: String) { description = "\(path): \(sentence)" }

  init(_ description: String) { self.description = description }
}
