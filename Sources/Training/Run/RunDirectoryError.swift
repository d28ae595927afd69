/// The reason why a run folder cannot be used. The description is one sentence that names the folder or file, the
/// problem and what to do.
public enum RunDirectoryError: Error, CustomStringConvertible, Sendable, Equatable {
  /// A new run cannot use the folder: it contains a run or files with the names of a run's.
  case occupied(path: String, sentence: String)
  /// There is no run to resume.
  case noRun(path: String, sentence: String)
  /// Another process is training in the folder.
  case inUse(path: String, process: String?)
  /// Files of the run are missing or contradict each other.
  case damaged(path: String, sentence: String)
  /// The system refuses to read or write a file or folder.
  case inaccessible(path: String, sentence: String)

  /// The sentence.
  public var description: String {
    switch self {
    case .occupied(let path, let sentence), .noRun(let path, let sentence), .damaged(let path, let sentence),
      .inaccessible(let path, let sentence):
      "\(path): \(sentence)"
    case .inUse(let path, let process):
      "\(path): another process\(process.map { " (pid \($0))" } ?? "") is training here"
    }
  }
}
