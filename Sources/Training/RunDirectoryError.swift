/// Why a run folder cannot be used.
///
/// The description is one sentence that names the folder or file, what is wrong and what to do.
public struct RunDirectoryError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The sentence shown to the user.
  public let description: String

  init(_ path: String, _ sentence: String) { description = "\(path): \(sentence)" }
}
