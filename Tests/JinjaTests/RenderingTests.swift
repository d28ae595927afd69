import Foundation
import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandJinja

/// The output of Jinja2 for a template: see `scripts/fixtures/jinja.py`.
private struct Case: Sendable, CustomTestStringConvertible {
  let source: String
  let values: JSONObject
  /// nil where Jinja2 fails.
  let output: String?

  var testDescription: String { String(source.prefix(60)) }

  static let all: [Case] = {
    do {
      let folder = Fixtures.url("jinja")
      let data = try Data(contentsOf: folder.appending(path: "cases.json"))
      let root = JSONNode(try JSONValue(parsing: data, file: "cases.json"), file: "cases.json")
      return try root.elements().map { node in
        let file = try node.member("file")?.string()
        let source = try file.map { name in
          try String(contentsOf: folder.appending(path: "templates/\(name)"), encoding: .utf8)
        }
        var values = JSONObject()
        if case .object(let members)? = try node.member("values")?.value { values = members }
        return Case(
          source: try source ?? node.required("template").string(), values: values,
          output: try node.member("output")?.string())
      }
    } catch { fatalError("\(error)") }
  }()
}

private func render(_ source: String, _ values: JSONObject = JSONObject()) throws -> JinjaTemplate.Output {
  var variables: [String: JinjaValue] = [:]
  for (name, value) in values { variables[name] = try JinjaValue(input: value) }
  return try JinjaTemplate(source).render(variables, now: Date(timeIntervalSince1970: 1_699_963_200))
}

@Suite("Templates render as in Jinja2")
struct RenderingTests {
  @Test("each snippet and conversation", arguments: Case.all)
  fileprivate func case_isEqual(_ item: Case) throws {
    guard let output = item.output else {
      #expect(throws: JinjaError.self) { try render(item.source, item.values) }
      return
    }
    let text = try render(item.source, item.values).text.string
    #expect(text.utf8.elementsEqual(output.utf8), "\(text.debugDescription)\n\(output.debugDescription)")
  }

  @Test("generation blocks are the ranges of what a model generates")
  func generation_hasRange() throws {
    let output = try render("ab{% generation %}cdé{% endgeneration %}f{% generation %}{% endgeneration %}")
    #expect(output.text.string == "abcdéf")
    #expect(output.generations == [2..<6, 7..<7])
  }

  @Test(
    "the bytes of the input stay marked through every operation",
    arguments: [
      ("<|x|>{{ m }}<|y|>", "<a>"), ("{{ m | trim }}", "<a>"), ("{{ m.split('<')[1] }}", "a>"),
      ("{{ 'x' ~ m ~ 'y' }}", "<a>"), ("{{ m | upper }}", "<A>"), ("{{ m[1:-1] }}", "a"), ("{{ m[::-1] }}", ">a<"),
      ("{{ [m, 'x'] | join('-') }}", "<a>"), ("{{ m | replace('a', 'b') }}", "<>"),
      ("{% set q %}1{{ m }}{% endset %}{{ q }}", "<a>"),
      ("{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f(m) }}", "<a>"), ("{{ m | tojson }}", "<a>"),
      ("{{ m.title() }}", "<A>"),
      ("{{ {'k': m} }}", "<a>"), ("{{ m | indent(2, true) }}", "<a>"), ("{{ m | list | first }}", "<"),
      ("{{ m | reverse }}", ">a<"), ("{{ 'xax'.replace('a', m) }}", "<a>"), ("{{ m * 2 }}", "<a><a>"),
    ])
  func input_isMarked(_ source: String, _ marked: String) throws {
    let text = try JinjaTemplate(source).render(["m": .string(MarkedText("<a>", isInput: true))]).text
    let input = text.inputRanges.map { String(decoding: text.bytes[$0], as: UTF8.self) }
    #expect(input.joined() == marked)
  }
}

@Suite("Templates that are malformed or do too much are refused")
struct LimitTests {
  @Test(
    "malformed templates and what is not supported",
    arguments: [
      ("{{ x", "template line 1: a tag without '}}'"),
      ("a\n{% if x %}b", "template line 2: the template ends: expected 'endif'"),
      ("{% include 'x' %}", "template line 1: statement 'include': expected if, for, set, macro, call, filter, with"),
      ("\n\n{{ x | nothing }}", "template line 3: filter 'nothing': expected abs, capitalize"),
      ("{{ x is nothing }}", "template line 1: test 'nothing': expected boolean"),
      ("{{ 'abc }}", "template line 1: a string without an end"),
      ("{{ (1 }}", "template line 1: unexpected '}'"),
      ("{{ 1 ? 2 }}", "template line 1: unexpected character '?'"),
      ("{% break %}", "template line 1: 'break' outside of a loop"),
      ("{{ f(*x) }}", "template line 1: arguments from a list or mapping are not supported"),
      ("{% for x in y recursive %}{% endfor %}", "template line 1: 'recursive' is not supported"),
      ("{% set true = 1 %}", "template line 1: 'true' cannot be assigned to"),
      ("{# x", "template line 1: a comment without '#}'"), ("{% raw %}x", "template line 1: 'raw' without 'endraw'"),
    ])
  func malformed_isNamed(_ source: String, _ message: String) throws {
    let error = try #require(throws: JinjaError.self) { try JinjaTemplate(source) }
    #expect(error.description.hasPrefix(message), "\(error)")
  }

  @Test(
    "failures name their line",
    arguments: [
      ("a\n{{ x.y }}", "template line 2: 'x' is undefined"),
      ("{{ 1 + 'a' }}", "template line 1: '+' between int and str"),
      ("\n{% if true %}\n{{ 1 // 0 }}{% endif %}", "template line 3: division by zero"),
      ("{{ raise_exception('no tools') }}", "no tools"),
      ("{{ 9223372036854775807 + 1 }}", "template line 1: the result of"),
      ("{% set x = [] %}{% set x.a = 1 %}", "template line 1: 'x' is no namespace"),
    ])
  func failure_namesLine(_ source: String, _ message: String) throws {
    let error = try #require(throws: JinjaError.self) { try render(source) }
    #expect(error.description.hasPrefix(message), "\(error)")
  }

  @Test(
    "what would take too long or too much memory",
    arguments: [
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "{{ range(1000000000) }}",
      "{{ 'abcdefgh' * 10000000 }}", "{{ 'a' * 9223372036854775807 }}",
      "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
      "{% set ns = namespace(s=[1]) %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% for i in range(100000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }}{% endfor %}",
      "{{ ('a' * 1000000).replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') }}",
    ])
  func excess_isLimited(_ source: String) throws {
    let error = try #require(throws: JinjaError.self) { try render(source) }
    if case .limit = error { return }
    Issue.record("\(error)")
  }

  @Test(
    "nesting that would exhaust the stack",
    arguments: [
      String(repeating: "(", count: 100_000), String(repeating: "[", count: 100_000),
      String(repeating: "-", count: 100_000) + "1", "1" + String(repeating: "+1", count: 100_000),
      "x" + String(repeating: ".x", count: 100_000), "x" + String(repeating: "|trim", count: 100_000),
      String(repeating: "not ", count: 100_000) + "x", "1" + String(repeating: " if 1 else 1", count: 100_000),
      "x" + String(repeating: " and x", count: 100_000),
    ])
  func nesting_isLimited(_ expression: String) {
    #expect(throws: JinjaError.self) { try JinjaTemplate("{{ \(expression) }}") }
    #expect(throws: JinjaError.self) {
      try JinjaTemplate(String(repeating: "{% if x %}", count: 100_000))
    }
  }
}
