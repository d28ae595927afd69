import WidebandCheckedInput

/// An error of reading or writing model folders and safetensors files.
///
/// Model files come from untrusted sources, so no reader in this module traps on their content: readers throw this
/// error, and writers leave either the complete result or the previous state.
public enum CheckpointError: Error, CustomStringConvertible, Sendable, Equatable {
  /// A file or folder does not exist or cannot be read.
  case unreadable(path: String, sentence: String)
  /// The content of a file is not valid: malformed JSON, or a header that contradicts the data.
  case malformed(path: String, sentence: String)
  /// Valid files contradict each other or the request: a tensor that is missing, or adapters of another model.
  case mismatch(path: String, sentence: String)
  /// A file or folder cannot be written: a system error, or a name or tensor that the format cannot represent.
  case notWritable(path: String, sentence: String)
  /// A folder exists already and is not empty.
  case exists(path: String, sentence: String)

  /// One line: the path, the problem, the value found and the value expected.
  public var description: String {
    switch self {
    case .unreadable(_, let sentence), .malformed(_, let sentence), .mismatch(_, let sentence),
      .notWritable(_, let sentence), .exists(_, let sentence):
      sentence
    }
  }

  /// The same error with another path, for errors about a temporary path.
  func replacing(_ temporary: String, with new: String) -> CheckpointError {
    func path(_ old: String) -> String { old.replacing(temporary, with: new) }
    func text(_ old: String) -> String { old.replacing(printable(path: temporary), with: printable(path: new)) }
    return switch self {
    case .unreadable(let old, let sentence): .unreadable(path: path(old), sentence: text(sentence))
    case .malformed(let old, let sentence): .malformed(path: path(old), sentence: text(sentence))
    case .mismatch(let old, let sentence): .mismatch(path: path(old), sentence: text(sentence))
    case .notWritable(let old, let sentence): .notWritable(path: path(old), sentence: text(sentence))
    case .exists(let old, let sentence): .exists(path: path(old), sentence: text(sentence))
    }
  }
}

// The cases with the sentence "path: problem".
extension CheckpointError {
  package static func unreadable(_ path: String, _ problem: String) -> Self {
    .unreadable(path: path, sentence: sentence(problem, at: path))
  }
  package static func malformed(_ path: String, _ problem: String) -> Self {
    .malformed(path: path, sentence: sentence(problem, at: path))
  }
  package static func mismatch(_ path: String, _ problem: String) -> Self {
    .mismatch(path: path, sentence: sentence(problem, at: path))
  }
  package static func notWritable(_ path: String, _ problem: String) -> Self {
    .notWritable(path: path, sentence: sentence(problem, at: path))
  }
  package static func exists(_ path: String, _ problem: String) -> Self {
    .exists(path: path, sentence: sentence(problem, at: path))
  }

  /// `unreadable`, with the system's reason for a value of `errno`.
  static func unreadable(_ path: String, _ problem: String, errno code: Int32) -> Self {
    unreadable(path, "\(problem): \(systemReason(code))")
  }

  /// `notWritable`, with the system's reason for a value of `errno`.
  static func notWritable(_ path: String, _ problem: String, errno code: Int32) -> Self {
    notWritable(path, "\(problem): \(systemReason(code))")
  }
}
