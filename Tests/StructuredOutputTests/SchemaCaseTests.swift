import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandStructuredOutput

/// A schema, texts that its grammar must accept and texts that it must not, as Python's jsonschema has it
/// (scripts/fixtures/json_schema.py).
struct SchemaCase: Sendable, CustomTestStringConvertible {
  let schema: JSONValue
  let accepted: [String]
  let rejected: [String]
  let testDescription: String

  static let all: [SchemaCase] = {
    guard let file = try? JSONValue(contentsOf: Fixtures.url("json-schema/cases.json")), case .array(let cases) = file
    else { return [] }
    return cases.enumerated().compactMap { index, value in
      guard case .object(let members) = value, let schema = members["schema"] else { return nil }
      func texts(_ key: String) -> [String] {
        guard case .array(let texts)? = members[key] else { return [] }
        return texts.compactMap { if case .string(let text) = $0 { text } else { nil } }
      }
      return SchemaCase(
        schema: schema, accepted: texts("accepted"), rejected: texts("rejected"), testDescription: "case \(index)")
    }
  }()
}

/// A grammar of a schema in JSON.
func compiled(_ schema: String) throws -> JSONGrammar {
  try JSONGrammar(schema: JSONValue(parsing: schema.utf8, file: "schema"))
}

extension JSONGrammar {
  /// Whether a text is a document of the grammar.
  func accepts(_ text: String) -> Bool {
    var state = start()
    return state.accept(text.utf8) && state.isComplete
  }

  /// A random document; nil if it is not complete after some thousand bytes.
  ///
  /// Every byte on the way must have a successor. `"`, `]` and `}` are preferred, so that the text ends.
  func randomDocument(using generator: inout some RandomNumberGenerator) throws -> [UInt8]? {
    var state = start()
    var text: [UInt8] = []
    while !state.isComplete {
      guard text.count < 4000 else { return nil }
      var bytes = Array(UInt8.min...UInt8.max).shuffled(using: &generator)
      if text.count > 200 || Int.random(in: 0..<4, using: &generator) == 0 { bytes = [0x22, 0x5D, 0x7D] + bytes }
      let next = bytes.first { state.accept($0) }
      text.append(try #require(next, "nothing may follow \(String(decoding: text, as: UTF8.self))"))
    }
    return text
  }
}

extension JSONGrammar.State {
  /// The state after some bytes; nil if they are not accepted.
  func after(_ bytes: some Sequence<UInt8>) -> Self? {
    var state = self
    return state.accept(bytes) ? state : nil
  }
}

/// Random numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}

@Suite("Grammars of JSON schemas agree with jsonschema")
struct SchemaCaseTests {
  @Test("the fixture is there")
  func fixture_isRead() { #expect(SchemaCase.all.count > 30) }

  @Test("values as encoders write them are accepted", arguments: SchemaCase.all)
  func valid_isAccepted(_ test: SchemaCase) throws {
    let grammar = try JSONGrammar(schema: test.schema)
    for text in test.accepted { #expect(grammar.accepts(text), "\(text)") }
  }

  @Test("values that jsonschema rejects are not accepted", arguments: SchemaCase.all)
  func invalid_isRejected(_ test: SchemaCase) throws {
    let grammar = try JSONGrammar(schema: test.schema)
    for text in test.rejected { #expect(!grammar.accepts(text), "\(text)") }
  }

  @Test("every prefix can be completed to a JSON document of UTF-8", arguments: SchemaCase.all)
  func randomWalk_ends(_ test: SchemaCase) throws {
    let grammar = try JSONGrammar(schema: test.schema)
    var generator = SeededGenerator(state: 1)
    for _ in 0..<5 {
      guard let text = try grammar.randomDocument(using: &generator) else { continue }
      _ = try JSONValue(parsing: text, file: "document")
    }
  }

  @Test("only the last bytes of a document complete it, apart from numbers")
  func prefix_isIncomplete() throws {
    let grammar = try compiled(#"{"type": "object", "properties": {"a": {"type": "integer"}}}"#)
    var state = grammar.start()
    for byte in #"{"a": 12"#.utf8 {
      #expect(!state.isComplete)
      state = try #require(state.after([byte]))
    }
    #expect(!state.isComplete)
    state = try #require(state.after("}".utf8))
    #expect(state.isComplete)
    #expect(state.after("}".utf8) == nil)
    #expect(state.isComplete)
  }

  @Test("a text that is not accepted leaves the state unchanged")
  func rejection_changesNothing() throws {
    var state = try compiled(#"{"enum": ["abc", "abd"]}"#).start()
    let isAccepted = state.accept("\"abx".utf8)
    #expect(!isAccepted)
    state = try #require(state.after("\"abd\"".utf8))
    #expect(state.isComplete)
  }
}
