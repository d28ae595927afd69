import Foundation
import Testing
import WidebandCheckedInput

@testable import WidebandStructuredOutput

@Suite("Schemas that cannot be compiled are refused by name")
struct SchemaErrorTests {
  private func errorText(_ schema: String) throws -> String {
    let error = try #require(throws: JSONGrammarError.self) { try compiled(schema) }
    return error.description
  }

  @Test(
    "keywords that are not supported",
    arguments: [
      "not", "if", "patternProperties", "propertyNames", "minProperties", "dependentRequired", "uniqueItems",
      "contains",
      "multipleOf", "unevaluatedProperties", "$anchor", "$dynamicRef", "x-order",
    ])
  func unsupported_isNamed(_ keyword: String) throws {
    let schema = #"{"properties": {"a/b": {"items": {"\#(keyword)": true}}}}"#
    #expect(try errorText(schema) == "schema #/properties/a~1b/items: '\(keyword)' is not supported")
  }

  @Test(
    "uses that are not supported, and malformed values",
    arguments: [
      (#"{"format": "email"}"#, "'format' is not supported with 'email': expected date, date-time, time or uuid"),
      (#"{"type": "integer", "format": "int32"}"#, "'format' is not supported for values that are no strings"),
      (#"{"allOf": [{}, {}]}"#, "'allOf' is not supported with more than one element"),
      (#"{"anyOf": [{}], "minItems": 1}"#, "'minItems' is not supported together with anyOf"),
      (#"{"pattern": "^a", "maxLength": 3}"#, "'maxLength' is not supported together with pattern"),
      (#"{"pattern": "a(?=b)"}"#, "'pattern' is not supported with look-around or flags"),
      (#"{"pattern": "a\\b"}"#, #"'pattern' is not supported with '\b'"#),
      (#"{"pattern": "(a)\\1"}"#, #"'pattern' is not supported with '\1'"#),
      (#"{"pattern": "a^b"}"#, "'pattern' is not supported with '^' or '$' within it"),
      (#"{"items": [{}]}"#, "'items' is not supported as a list, which is prefixItems now"),
      (
        #"{"type": "number", "minimum": 0.1234567890123456}"#,
        "'minimum' is not supported for numbers, with more than 15 digits"
      ),
      (##"{"$ref": "#"}"##, "'$ref' is not supported in a cycle without an object or a list"),
      (#"{"$ref": "x.json"}"#, "'$ref' is not supported to 'x.json': expected '#', '#/$defs/…' or '#/definitions/…'"),
      (##"{"$ref": "#/$defs/a"}"##, "'$ref': expected the pointer of a schema, found '#/$defs/a'"),
      (#"{"type": "text"}"#, "'type': expected null, boolean, integer, number, string, array or object, found 'text'"),
      (#"{"minLength": -1}"#, "'minLength': expected an integer from 0"),
      (#"{"enum": []}"#, "'enum': expected a list with at least one element"),
      (#"{"properties": {}, "required": ["a"]}"#, "'required': expected names of properties, found 'a'"),
      (#"7"#, "'7': expected a schema: an object, true or false"),
    ])
  func malformed_isNamed(_ schema: String, _ message: String) throws {
    #expect(try errorText(schema) == "schema #: \(message)")
  }

  @Test(
    "schemas that no document fulfills",
    arguments: [
      "false", #"{"type": "integer", "minimum": 3, "maximum": 2}"#, #"{"type": "string", "enum": [1]}"#,
      ##"{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}"##,
      #"{"minItems": 2, "maxItems": 1}"#, #"{"minLength": 2, "maxLength": 1}"#,
    ])
  func unsatisfiable_isRefused(_ schema: String) throws {
    #expect(try errorText(schema) == "schema: no value is valid")
  }

  @Test("an impossible alternative does not matter")
  func impossibleAlternative_isLeftOut() throws {
    let grammar = try compiled(#"{"properties": {"a": false, "b": {"anyOf": [false, {"type": "null"}]}}}"#)
    #expect(grammar.accepts(#"{"b":null}"#))
    #expect(grammar.start().after(#"{"a"#.utf8) == nil)
  }
}

@Suite("Hostile schemas end soon")
struct HostileSchemaTests {
  @Test("what needs too many nodes")
  func size_isLimited() throws {
    let patterns = ["(((((a?){100000}){100000}){100000}){100000}){100000}", String(repeating: "(a?){64}", count: 400)]
    let long = JSONValue.string(String(repeating: "x", count: 200_000))
    for (keyword, value) in [("const", long)] + patterns.map({ ("pattern", JSONValue.string($0)) }) {
      let schema = JSONValue.object(JSONObject(key: keyword, value))
      #expect(throws: JSONGrammarError.limit("100000 nodes")) { try JSONGrammar(schema: schema) }
    }
  }

  @Test("deep schemas")
  func depth_isLimited() {
    var schema = JSONValue.boolean(true)
    for _ in 0..<200 { schema = .object(JSONObject(key: "items", schema)) }
    #expect(throws: JSONGrammarError.limit("128 levels of schemas")) { try JSONGrammar(schema: schema) }
  }

  @Test("references that double sixty times")
  func sharedReferences_areCompiledOnce() throws {
    let definitions = (0..<60).map {
      ##""d\##($0)": {"anyOf": [{"$ref": "#/$defs/d\##($0 + 1)"}, {"$ref": "#/$defs/d\##($0 + 1)"}]}"##
    }
    let grammar = try compiled(
      ##"{"$ref": "#/$defs/d0", "$defs": {\##(definitions.joined(separator: ",")), "d60": {"const": 1}}}"##)
    #expect(grammar.compiled.automaton.nodes.count < 1000)
    #expect(grammar.accepts("1"))
  }

  @Test("a schema whose texts have exponentially many derivations")
  func stacks_areBounded() throws {
    let list = ##"{"type": "array", "items": {"$ref": "#"}}"##
    var state = try compiled(##"{"anyOf": [\##(list), \##(list), \##(list), {"type": "string"}]}"##).start()
    state = try #require(
      state.after((String(repeating: "[", count: 60) + "\"a\"" + String(repeating: "]", count: 60)).utf8))
    #expect(state.isComplete)
    #expect(state.configurations.elements.count <= JSONGrammarLimits.positions)
  }

  @Test("a text without a maximum length has one state, so that its mask is computed once")
  func unboundedText_hasOneState() throws {
    let state = try #require(try compiled(#"{"type": "string", "minLength": 2}"#).start().after("\"ab".utf8))
    #expect(state.after("cd".utf8)?.configurations == state.configurations)
  }

  @Test("counts are not copies")
  func counts_areSmall() throws {
    let grammar = try compiled(#"{"items": {"maxLength": 1000000000000}, "minItems": 1000000000000000000}"#)
    #expect(grammar.compiled.automaton.nodes.count < 200)
  }
}

extension JSONObject {
  fileprivate init(key: String, _ value: JSONValue) {
    self.init()
    self[key] = value
  }
}
