import Foundation

/// An error of untrusted input: a file, a key, a flag or a line of data.
///
/// The description is one sentence that names the input, the value found and the value expected. There are no cases to
/// distinguish: callers show the sentence, or wrap it in the error of their module.
public struct InputError: Error, CustomStringConvertible, Equatable, Sendable {
  /// The sentence.
  public let description: String

  /// An error with the given sentence.
  public init(_ description: String) { self.description = description }
}

/// The sentence of an error about a file or folder: "path: problem".
package func sentence(_ problem: String, at path: String) -> String { "\(printable(path: path)): \(problem)" }

/// The operating system's description of its last error.
package func systemReason(_ code: Int32 = errno) -> String { String(cString: strerror(code)) }
