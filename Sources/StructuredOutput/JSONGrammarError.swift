import WidebandCheckedInput

/// Why a JSON schema cannot be compiled.
public enum JSONGrammarError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A keyword, or a use of it, that is not supported.
  ///
  /// - pointer: the JSON pointer of the schema with the keyword, "#" for the root.
  /// - reason: why, for a keyword that is supported elsewhere.
  case unsupported(pointer: String, keyword: String, reason: String?)
  /// A keyword whose value is not what JSON Schema expects.
  case malformed(pointer: String, keyword: String, expected: String)
  /// No text within the limits is valid.
  case unsatisfiable
  /// The schema goes beyond one of ``JSONGrammarLimits``.
  case limit(String)

  /// One sentence.
  public var description: String {
    switch self {
    case .unsupported(let pointer, let keyword, let reason):
      "schema \(printable(pointer)): \(quoted(keyword)) is not supported\(reason.map { " \($0)" } ?? "")"
    case .malformed(let pointer, let keyword, let expected):
      "schema \(printable(pointer)): \(quoted(keyword)): expected \(expected)"
    case .unsatisfiable: "schema: no value is valid"
    case .limit(let limit): "schema: more than \(limit)"
    }
  }
}

/// Bounds of grammars, so that no schema blocks or exhausts the process and no model writes white space or digits
/// without end.
public enum JSONGrammarLimits {
  /// Objects and lists within each other, in a document.
  public static let nesting = 64
  /// Schemas within each other.
  public static let schemaNesting = 128
  /// Nodes of the automaton; a schema takes about one for each byte of its names and strings and ten for each value.
  public static let nodes = 100_000
  /// Spaces or tabs after a line break.
  public static let indentation = 64
  /// Digits of a number before its point, where the schema has no bounds that allow more.
  public static let integerDigits = 18
  /// Digits of a number after its point.
  public static let fractionDigits = 20

  /// Positions in the grammar of one state, and different stacks among them. A schema that is more ambiguous loses
  /// alternatives; what is accepted stays valid.
  static let positions = 2048
  static let stacks = 128
  /// Positions that one mask looks at for new transitions. Beyond it a mask allows only tokens whose transitions are
  /// known, and those of a single byte.
  static let maskWork = 200_000
  /// States and masks that a grammar keeps.
  static let cachedStates = 2048
  static let cachedMasks = 64
}
