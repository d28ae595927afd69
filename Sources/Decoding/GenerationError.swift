/// Why a model cannot be loaded, continued or verified as asked.
public struct GenerationError: Error, CustomStringConvertible, Equatable, Sendable {
  /// One sentence that names the thing, its value and what was expected.
  public let description: String

  /// An error with the given sentence.
  public init(_ description: String) { self.description = description }
}
