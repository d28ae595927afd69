import CheckedInput

/// What is wrong with a file or a folder, or why it could not be written.
///
/// Safetensors files and model folders come from anywhere, so nothing in this module traps on what it reads: every
/// reader throws this, and every writer leaves either the whole result or what was there before.
public struct CheckpointError: Error, CustomStringConvertible, Sendable, Equatable {
  /// One line: the path, what is wrong, the value, what was expected.
  public let description: String

  /// An error about the file or folder at `path`.
  public init(_ path: String, _ sentence: String) { description = "\(printable(path: path)): \(sentence)" }

  /// An error of the operating system; `code` is what `errno` was.
  init(_ code: Int32, _ path: String, _ sentence: String) {
    self.init(path, "\(sentence): \(systemMessage(code))")
  }

  /// What a reader of JSON says, which names the file already.
  init(_ error: InputError) { description = error.description }

  private init(description: String) { self.description = description }

  /// The same error about the place that a temporary path stands for.
  func replacing(_ temporary: String, with path: String) -> CheckpointError {
    CheckpointError(description: description.replacing(printable(path: temporary), with: printable(path: path)))
  }
}
