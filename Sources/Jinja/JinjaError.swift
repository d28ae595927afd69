/// Why a template cannot be parsed or rendered.
public enum JinjaError: Error, Equatable, CustomStringConvertible {
  /// The template's text is malformed, or uses something that is not supported.
  case syntax(line: Int, String)
  /// Rendering failed: an undefined value, an operator that does not take its operands.
  case rendering(line: Int, String)
  /// The template called `raise_exception`, as chat templates do for conversations that they do not take.
  case raised(String)
  /// Rendering went beyond one of ``JinjaLimits``.
  case limit(line: Int, String)

  /// One sentence.
  public var description: String {
    switch self {
    case .syntax(let line, let message): "template line \(line): \(message)"
    case .rendering(let line, let message): "template line \(line): \(message)"
    case .raised(let message): message
    case .limit(let line, let message): "template line \(line): \(message)"
    }
  }
}

/// A failure before its line is known.
struct Failure: Error {
  enum Kind { case rendering, limit, raised }

  let message: String
  var kind = Kind.rendering

  init(_ message: String, kind: Kind = .rendering) { (self.message, self.kind) = (message, kind) }

  func at(line: Int) -> JinjaError {
    switch kind {
    case .rendering: .rendering(line: line, message)
    case .limit: .limit(line: line, message)
    case .raised: .raised(message)
    }
  }
}

/// Bounds of one rendering, so that no template blocks or exhausts the process.
public struct JinjaLimits: Sendable {
  /// Evaluated expressions, executed statements, visited elements, and 256 bytes of processed text each count as one.
  public var steps = 1_000_000
  /// Bytes of the output, and of any single string.
  public var outputBytes = 8 << 20
  /// The number of elements that `range` makes.
  public var rangeElements = 100_000
  /// Nested expressions, blocks and macro calls.
  public var depth = 64

  /// The default bounds.
  public init() {}
}

/// What is left of a rendering's limits.
final class Budget {
  let limits: JinjaLimits
  private var steps = 0

  init(_ limits: JinjaLimits) { self.limits = limits }

  func spend(_ count: Int = 1) throws {
    steps += count
    guard steps <= limits.steps else { throw Failure("more than \(limits.steps) steps", kind: .limit) }
  }

  /// Counts a text that was made or read.
  func spend(bytes: Int) throws {
    guard bytes <= limits.outputBytes else {
      throw Failure("a text of more than \(limits.outputBytes) bytes", kind: .limit)
    }
    try spend(1 + bytes / 256)
  }
}
