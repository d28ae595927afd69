import WidebandCheckedInput

/// An error of text files, or of the tokens prepared from them.
public enum DataError: Error, CustomStringConvertible, Sendable, Equatable {
  /// A file or folder does not exist or cannot be read.
  case unreadable(path: String, sentence: String)
  /// The content of a file is not valid: text that is not UTF-8, a damaged archive, malformed JSON.
  case malformed(path: String, sentence: String)
  /// Valid data does not fit other data, the tokenizer or the model.
  case mismatch(path: String, sentence: String)
  /// There is not enough text, or none.
  case insufficientText(path: String, sentence: String)
  /// A folder has other content already.
  case exists(path: String, sentence: String)
  /// A folder cannot be created.
  case notWritable(path: String, sentence: String)
  /// An argument is out of range.
  case invalidArgument(String)

  /// One sentence: the path or argument, the value found and the value expected.
  public var description: String {
    switch self {
    case .unreadable(_, let sentence), .malformed(_, let sentence), .mismatch(_, let sentence),
      .insufficientText(_, let sentence), .exists(_, let sentence), .notWritable(_, let sentence),
      .invalidArgument(let sentence):
      sentence
    }
  }
}

// The cases with the sentence "path: problem".
extension DataError {
  static func unreadable(_ path: String, _ problem: String) -> Self {
    .unreadable(path: path, sentence: sentence(problem, at: path))
  }
  static func malformed(_ path: String, _ problem: String) -> Self {
    .malformed(path: path, sentence: sentence(problem, at: path))
  }
  static func mismatch(_ path: String, _ problem: String) -> Self {
    .mismatch(path: path, sentence: sentence(problem, at: path))
  }
  static func insufficientText(_ path: String, _ problem: String) -> Self {
    .insufficientText(path: path, sentence: sentence(problem, at: path))
  }
  static func exists(_ path: String, _ problem: String) -> Self {
    .exists(path: path, sentence: sentence(problem, at: path))
  }
  static func notWritable(_ path: String, _ problem: String) -> Self {
    .notWritable(path: path, sentence: sentence(problem, at: path))
  }
}
