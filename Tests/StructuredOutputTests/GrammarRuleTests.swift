import Testing
import WidebandCheckedInput

@testable import WidebandStructuredOutput

@Suite("What grammars leave out, and JSON's own rules")
struct GrammarRuleTests {
  @Test(
    "any object",
    arguments: [
      (#"{}"#, true), (#"{"a":[1,{"b":"c"}],"a":null}"#, true), ("{\n  \"a\": 1,\n  \"b\": [\n    2\n  ]\n}", true),
      (#"[]"#, false), (#""a""#, false), (#"{"a"}"#, false), (#"{"a":1,}"#, false), (#"{a:1}"#, false),
      (#" {}"#, false), (#"{} "#, false),
    ])
  func anyObject(_ text: String, _ isAccepted: Bool) {
    #expect(JSONGrammar.anyObject.accepts(text) == isAccepted)
  }

  @Test(
    "white space is bounded",
    arguments: [
      ("[1, 2]", true), ("[1,  2]", false), ("[ 1 ]", true), ("[1,\n2]", true), ("[1,\n\n2]", false),
      ("[1,\n" + String(repeating: " ", count: 64) + "2]", true),
      ("[1,\n" + String(repeating: " ", count: 65) + "2]", false), ("[1 ,2]", false), ("[\t1]", false),
    ])
  func whiteSpace_isBounded(_ text: String, _ isAccepted: Bool) throws {
    #expect(try compiled(#"{"type": "array"}"#).accepts(text) == isAccepted)
  }

  @Test(
    "numbers are those of RFC 8259, with a bounded number of digits",
    arguments: [
      ("0", true), ("-0.5", true), ("1.5e+10", true), ("1E-7", true), ("01", false), (".5", false), ("1.", false),
      ("+1", false), ("1e", false), ("NaN", false), ("0x1", false), ("1e999", false), ("1e199", true),
      (String(repeating: "9", count: 18), true), (String(repeating: "9", count: 19), false),
      ("0." + String(repeating: "9", count: 20), true), ("0." + String(repeating: "9", count: 21), false),
    ])
  func numbers_areBounded(_ text: String, _ isAccepted: Bool) throws {
    #expect(try compiled(#"{"type": "number"}"#).accepts(text) == isAccepted)
  }

  @Test("integers have neither point nor exponent", arguments: ["1.0", "1e3", "-0", "00"])
  func integers_arePlain(_ text: String) throws {
    #expect(try !compiled(#"{"type": "integer"}"#).accepts(text))
  }

  @Test(
    "escapes and surrogate pairs",
    arguments: [
      (#""\"\\\/\b\f\n\r\t""#, true), (#""\u00e9\uD83D\ude00""#, true), (#""\ud83d""#, false), (#""\ude00""#, false),
      (#""\uD800\uDC00\udbff\udfff""#, true), (#""\ud7ff\ue000""#, true), (#""\ud83d\uDB00""#, false),
      (#""\ud83d\uE000""#, false), (#""\ud83d\n""#, false),
      (#""\ud83d\u0041""#, false), (#""\x41""#, false), (#""\u12""#, false), ("\"a\nb\"", false), ("\"\u{7F}\"", true),
    ])
  func escapes(_ text: String, _ isAccepted: Bool) throws {
    #expect(try compiled(#"{"type": "string"}"#).accepts(text) == isAccepted)
  }

  @Test(
    "strings are UTF-8",
    arguments: [
      ([0xC3, 0xA9], true), ([0xC0, 0x80], false), ([0xED, 0xA0, 0x80], false), ([0xF4, 0x8F, 0xBF, 0xBF], true),
      ([0xF4, 0x90, 0x80, 0x80], false), ([0xE0, 0x80, 0x80], false), ([0x80], false), ([0xFF], false),
      ([0xE2, 0x82], false),
    ] as [([UInt8], Bool)])
  func strings_areUTF8(_ bytes: [UInt8], _ isAccepted: Bool) throws {
    let end = try compiled(#"{"type": "string"}"#).start().after([0x22] + bytes + [0x22])
    #expect((end?.isComplete ?? false) == isAccepted)
  }

  @Test("properties come in the order of the schema, each once")
  func properties_areOrdered() throws {
    let grammar = try compiled(#"{"properties": {"b": {}, "a": {}, "c": {}}, "required": ["a"]}"#)
    #expect(grammar.accepts(#"{"b":1,"a":2,"c":3}"#))
    #expect(grammar.accepts(#"{"a":2,"c":3}"#))
    #expect(grammar.accepts(#"{"a":2}"#))
    #expect(!grammar.accepts(#"{"a":2,"b":1}"#))
    #expect(!grammar.accepts(#"{"b":1}"#))
    #expect(!grammar.accepts(#"{"a":2,"a":2}"#))
    #expect(!grammar.accepts("{}"))
    let requiredLast = try compiled(#"{"properties": {"a": {}, "b": {}, "c": {}}, "required": ["c"]}"#)
    #expect(requiredLast.accepts(#"{"a":1,"c":3}"#))
    #expect(!requiredLast.accepts(#"{"a":1}"#))
    #expect(!grammar.accepts(#"{"a":2,"d":2}"#))
  }

  @Test("further members follow the properties, and their names differ from theirs")
  func furtherMembers_haveOtherNames() throws {
    let grammar = try compiled(#"{"properties": {"ab": {"const": 1}, "é": {}}, "additionalProperties": true}"#)
    #expect(grammar.accepts(#"{"ab":1,"a":2,"abc":3,"è":4,"":5}"#))
    #expect(!grammar.accepts(#"{"a":2,"ab":1}"#))
    #expect(!grammar.accepts(#"{"ab":1,"ab":2}"#))
    #expect(!grammar.accepts(#"{"ab":1,"a\u0062":2}"#))
    #expect(!grammar.accepts(#"{"a":0,"é":2}"#))
  }

  @Test("elements after prefixItems need items")
  func prefixItems_areAll() throws {
    #expect(try !compiled(#"{"prefixItems": [{}]}"#).accepts("[1,2]"))
    #expect(try compiled(#"{"prefixItems": [{}], "items": true}"#).accepts("[1,2]"))
  }

  @Test("nesting is bounded, and required values are counted before they are begun")
  func nesting_isBounded() throws {
    let open = String(repeating: "[", count: 64)
    let close = String(repeating: "]", count: 64)
    #expect(try compiled("{}").accepts(open + close))
    #expect(try !compiled("{}").accepts("[" + open + close + "]"))
    // The innermost list must have an object, which does not fit into the last level.
    let list = ##"{"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "object"}, {"$ref": "#"}]}}"##
    let grammar = try compiled(list)
    #expect(grammar.accepts(open.dropLast() + "{}" + close.dropLast()))
    #expect(grammar.start().after(open.utf8) == nil)
  }
}
