import WidebandCheckedInput

/// The JSON documents that a model may write: those that a JSON schema allows, or any object.
///
/// ```swift
/// let grammar = try JSONGrammar(schema: JSONValue(parsing: text.utf8, file: "schema"))
/// var state = grammar.start()
/// trie.allowed(by: state, into: &mask)      // tokens that may come next
/// for byte in bytesOfToken { _ = state.accept(byte) }
/// if state.isComplete { … }                 // the end of the text may come next
/// ```
///
/// Every document of a grammar is valid by its schema, but for `oneOf`, and every text on the way can be completed. The
/// reverse does not hold: a grammar leaves out some valid documents.
/// - Properties come in the order of the schema; further members follow them, and their names have no escapes.
/// - A schema with `properties` allows further ones only with `additionalProperties`, and one with `prefixItems` allows
///   further elements only with `items`. This is the default of llama.cpp, and the strict mode of XGrammar, which vLLM
///   uses. OpenAI's structured outputs want `"additionalProperties": false` in all objects, which means the same. An
///   object without any of these keywords may have any members, a list any elements.
/// - A schema without `type` is about the kinds of values that its keywords are about.
/// - White space is one space, or a line break and indentation, where encoders write it.
/// - Patterns are those of ECMA 262 without look-around and references. Their characters above ASCII are not escaped.
/// - Numbers have at most 18 digits before the point and 20 after it; integers have no point and no exponent.
///   Fixed numbers are spelled as in the schema. With bounds, numbers have no exponent, and 0 has no minus sign.
/// - Objects and lists are nested at most 64 times.
///
/// `oneOf` is compiled as `anyOf`: its alternatives should exclude each other. Keywords without effect on validity are
/// ignored; any other that is not supported is refused by name. A fixed value or a combination of schemas may stand
/// next to `type`, but next to no other constraint.
public struct JSONGrammar: Sendable {
  let compiled: CompiledGrammar

  /// Any JSON object.
  public static let anyObject: JSONGrammar = {
    // A schema without keywords cannot fail.
    let automaton = try? SchemaCompiler.automaton(of: .boolean(true), kinds: .object)
    return JSONGrammar(automaton ?? PushdownAutomaton())
  }()

  /// Compiles a schema.
  ///
  /// - Throws: for a keyword that is not supported or malformed, a schema that no document fulfills, and one beyond
  ///   ``JSONGrammarLimits``.
  public init(schema: JSONValue) throws(JSONGrammarError) {
    self.init(try SchemaCompiler.automaton(of: schema))
  }

  private init(_ automaton: PushdownAutomaton) { compiled = CompiledGrammar(automaton) }

  /// The state before the first byte.
  public func start() -> State { State(grammar: compiled, configurations: compiled.initial) }

  /// What may follow some text.
  public struct State: Sendable {
    let grammar: CompiledGrammar
    private(set) var configurations: Configurations

    init(grammar: CompiledGrammar, configurations: Configurations) {
      (self.grammar, self.configurations) = (grammar, configurations)
    }

    /// Adds a byte of UTF-8 to the text.
    ///
    /// - Returns: false, without a change, if no document starts with the text and the byte.
    public mutating func accept(_ byte: UInt8) -> Bool {
      let following = configurations.after(byte, in: grammar.automaton)
      guard !following.isEmpty else { return false }
      configurations = following
      return true
    }

    /// Adds several bytes to the text.
    ///
    /// - Returns: false, without a change, if no document starts with the text and the bytes.
    public mutating func accept(_ bytes: some Sequence<UInt8>) -> Bool {
      var state = self
      for byte in bytes {
        guard state.accept(byte) else { return false }
      }
      self = state
      return true
    }

    /// Whether the text is a whole document. More may follow it only in a number.
    public var isComplete: Bool { configurations.isComplete }
  }
}

/// A compiled schema, and what was computed of its transitions.
final class CompiledGrammar: Sendable {
  let automaton: PushdownAutomaton
  let initial: Configurations
  let transitions: Locked<TransitionCache>

  init(_ automaton: PushdownAutomaton) {
    self.automaton = automaton
    initial = Configurations.initial(of: automaton)
    transitions = Locked(TransitionCache(automaton))
  }
}
