/// Why something from outside was refused: a file, a key, a flag, a line of data.
///
/// The description is one sentence that names the thing, the value found and what was expected.
public struct InputError: Error, CustomStringConvertible, Equatable, Sendable {
  /// The sentence.
  public let description: String

  /// An error with the given sentence.
  public init(_ description: String) { self.description = description }
}
