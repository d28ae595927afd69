import TestSupport
import Testing

@testable import WidebandCheckedInput

struct JSONNodeTests {
  private func node(_ text: String) throws -> JSONNode {
    JSONNode(try JSONValue(parsing: Array(text.utf8), file: "f"), file: "f")
  }

  @Test("an error names the file, the keys, the value and what was expected")
  func error_sentence() throws {
    let root = try node(#"{"a": {"b": [1, "x", -5, 1e30]}, "c": null}"#)
    let list = try root.required("a").required("b").elements()
    #expect(try list[0].integer("an id", in: 0...9) == 1)
    #expect(message { _ = try list[1].integer("an id", in: 0...9) } == "f: a.b[1] is 'x': expected an id from 0 to 9")
    #expect(message { _ = try list[2].integer("an id", in: 0...9) } == "f: a.b[2] is -5: expected an id from 0 to 9")
    #expect(message { _ = try list[3].integer("an id", in: 0...9) } == "f: a.b[3] is 1e30: expected an id from 0 to 9")
    #expect(message { _ = try list[0].string() } == "f: a.b[0] is 1: expected a string")
    #expect(message { _ = try root.required("a").boolean() } == "f: a is an object: expected true or false")
    #expect(message { _ = try root.required("c") } == "f: c is missing")
    #expect(message { _ = try node("[]").member("c") } == "f: the document is a list: expected an object")
    #expect(try root.member("c")?.value == nil && root.flag("c", default: true))
  }

  @Test("a key with half of a surrogate pair equals no name")
  func key_surrogate() throws {
    let root = try node(#"{"\ud800": 1, "a": 2}"#)
    #expect(try root.members().count == 2)
    #expect(try root.required("a").integer("a number", in: 0...9) == 2)
    #expect(try root.member("\u{FFFD}")?.value == nil)
  }
}
