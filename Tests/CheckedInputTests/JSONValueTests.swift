import TestSupport
import Testing
import WidebandCheckedInput

@Suite struct JSONValueTests {
  private func parsed(_ text: String) throws -> JSONValue { try JSONValue(parsing: text.utf8, file: "f") }

  private func failure(_ text: String, line: Int? = nil) -> String {
    message { try JSONValue(parsing: text.utf8, file: "f", line: line) }
  }

  @Test("of equal keys the last counts, and keys are equal if their bytes are")
  func object_equalKeys() throws {
    guard case .object(let object) = try parsed("{\"a\":1,\"b\":2,\"a\":3,\"\u{E9}\":4,\"e\u{301}\":5}") else {
      Issue.record("no object")
      return
    }
    #expect(object["a"] == .number(JSONNumber("3")))
    #expect(object["\u{E9}"] == .number(JSONNumber("4")))
    #expect(object["e\u{301}"] == .number(JSONNumber("5")))
    #expect(object.keys.map { Array($0.utf8) } == ["a", "b", "\u{E9}", "e\u{301}"].map { Array($0.utf8) })
  }

  @Test("a member is removed without disturbing the others")
  func object_removal() throws {
    var object = JSONObject()
    for key in ["a", "b", "c"] { object[key] = .string(key) }
    object["b"] = nil
    object["d"] = .null
    #expect(object.keys == ["a", "c", "d"])
    #expect(object["c"] == .string("c"))
    #expect(object["b"] == nil)
  }

  @Test(
    "numbers of any size are read, Python's names among them",
    arguments: ["123456789012345678901234567890", "1e999", "-0.0", "NaN", "Infinity", "-Infinity", "1E+2"])
  func number_anySize(text: String) throws { #expect(try parsed(" \(text) ") == .number(JSONNumber(text))) }

  @Test("a number is an integer only if the conversion is exact")
  func number_integer() {
    #expect(JSONNumber("9223372036854775807").integer == .max)
    #expect(JSONNumber("9223372036854775808").integer == nil)
    #expect(JSONNumber("18446744073709551615").unsigned == .max)
    #expect(JSONNumber("2.0").integer == 2)
    #expect(JSONNumber("1e3").integer == 1000)
    #expect(JSONNumber("1e30").integer == nil)
    #expect(JSONNumber("2.5").integer == nil)
    #expect(JSONNumber("NaN").integer == nil)
    #expect(JSONNumber("1e400").double == nil)
    #expect(JSONNumber("NaN").double == nil)
  }

  @Test("half of a surrogate pair makes only its own string unreadable")
  func string_surrogates() throws {
    #expect(
      try parsed(#"["\ud83d\ude00", "\ud83d", "\ude00x", "\ud83dA", "\ud83d\u0041"]"#)
        == .array([.string("😀"), .loneSurrogate, .loneSurrogate, .loneSurrogate, .loneSurrogate]))
  }

  @Test(
    "malformed JSON is refused with its position",
    arguments: [
      ("", "f: line 1, column 1: malformed JSON: expected a value"),
      ("{\n \"a\" 1}", "f: line 2, column 6: malformed JSON: expected ':'"),
      ("[1,]", "f: line 1, column 4: malformed JSON: expected a value"),
      ("[01]", "f: line 1, column 4: malformed JSON: a number that begins with 0"),
      ("1.", "f: line 1, column 3: malformed JSON: a number without digits after its point"),
      ("1e", "f: line 1, column 3: malformed JSON: a number without digits in its exponent"),
      ("-", "f: line 1, column 2: malformed JSON: a number without digits"),
      ("-NaN", "f: line 1, column 2: malformed JSON: a number without digits"),
      ("\"a", "f: line 1, column 3: malformed JSON: a string without an end"),
      ("\"\\", "f: line 1, column 3: malformed JSON: a string without an end"),
      ("\"\\x\"", "f: line 1, column 3: malformed JSON: an unknown escape in a string"),
      ("\"\\u12g4\"", "f: line 1, column 6: malformed JSON: expected four hexadecimal digits"),
      ("\"a\u{1}\"", "f: line 1, column 3: malformed JSON: a control character in a string"),
      ("1 2", "f: line 1, column 3: malformed JSON: text after the end of the document"),
      (String(repeating: "[", count: 1000), "f: line 1, column 129: malformed JSON: more than 128 levels"),
    ])
  func document_malformed(text: String, expected: String) { #expect(failure(text) == expected) }

  @Test("in a file with one document per line, messages name the line")
  func line_malformed() {
    #expect(failure("[", line: 7) == "f: line 7, column 2: malformed JSON: expected a value")
  }

  @Test("skipping refuses what reading refuses", arguments: ["[1,]", "{\"a\":tru}", "\"\\x\"", "01", "[", "nul"])
  func skip_malformed(text: String) {
    Array(text.utf8).withUnsafeBufferPointer { bytes in
      #expect(throws: InputError.self) {
        var scanner = JSONScanner(bytes, file: "f")
        try scanner.skip()
        try scanner.end()
      }
    }
    #expect(failure(text).contains("malformed JSON"))
  }
}
