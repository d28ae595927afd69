import TestSupport
import Testing

@testable import WidebandTokenization

@Suite struct PatternTests {
  private func matches(_ pattern: String, _ text: String) throws -> [String] {
    let bytes = Array(text.utf8)
    var found: [String] = []
    let compiled = try Pattern(pattern)
    try bytes.withUnsafeBufferPointer { buffer in
      try compiled.forEachMatch(in: buffer, MatchState()) {
        found.append(String(decoding: buffer[$0..<$1], as: UTF8.self))
      }
    }
    return found
  }

  @Test func whiteSpace_isTheUnicodeProperty() throws {
    #expect(try matches(#"\s+"#, "a\u{85}\u{3000}b\u{180E}c\u{2028}") == ["\u{85}\u{3000}", "\u{2028}"])
    #expect(try matches(#"\S+"#, "a b\u{180E}c\u{A0}") == ["a", "b\u{180E}c"])
    #expect(try matches(#"[^\S\n]+"#, "a \t\nb") == [" \t"])
  }

  @Test func properties_includeUnicode16() throws {
    #expect(try matches(#"\p{L}+"#, "a\u{10D4A}\u{2EBF0}1") == ["a\u{10D4A}\u{2EBF0}"])
    #expect(try matches(#"[^\s\p{L}\p{N}]+"#, "\u{10D40}!\u{323AF}") == ["!"])
    #expect(try matches(#"\p{^L}"#, "a1") == ["1"])
    #expect(try matches(#"\P{Lu}+"#, "AbcD") == ["bc"])
    #expect(try matches(#"\p{Han}+"#, "、日本\u{31350}") == ["日本\u{31350}"])
  }

  @Test func caseFolding_beyondASCII() throws {
    #expect(try matches(#"(?i:'s|'t)"#, "'S 'ſ 't") == ["'S", "'ſ", "'t"])
  }

  @Test func interval_repeated_isNotPossessive() throws {
    #expect(try matches(#"\d{2}+"#, "12345") == ["1234"])
    #expect(try matches(#"(?:ab){1,2}+b"#, "ababab") == [])
    #expect(try matches(#"(a|b){1}+b"#, "abb") == ["abb"])
    #expect(try matches(#"\h+"#, "xFf0 g") == ["Ff0"])
  }

  @Test func match_empty_advances() throws {
    #expect(try matches("x*", "axé") == ["", "x", ""])
    #expect(try matches("$", "a\nb") == ["", ""])
  }

  @Test(arguments: [
    (#"[a[b]]"#, "uses a character class inside another, which is not supported"),
    (#"[\p{L}&&[a]]"#, "uses the class intersection &&, which is not supported"),
    (#"\bword"#, #"uses \b, which is not supported"#),
    (#"a["#, "has an unclosed character class"),
    (#"a\"#, "ends with a backslash"),
    (#"(a"#, "is not a valid pattern: missing closing parenthesis"),
  ])
  func pattern_unsupported_isRefused(pattern: String, expected: String) {
    #expect(message { try Pattern(pattern) } == expected)
  }

  @Test("a pattern that takes too many steps is an error", arguments: ["(a+)+$", "(a|aa)+$"])
  func match_tooManySteps(pattern: String) {
    let text = "b" + String(repeating: "a", count: 60) + "!"
    #expect(
      message { try matches(pattern, text) }
        == "the pre-tokenizer pattern '\(pattern)' fails at byte 0 of 62 of the text: "
        + "matching takes too many steps (PCRE2: match limit exceeded)")
  }

  @Test("a long run of spaces does not exceed the limit")
  func match_longRuns() throws {
    let text = String(repeating: " ", count: 3_000_000) + "a"
    #expect(try matches(#"\s*[\r\n]+|\s+(?!\S)|\s+|a"#, text).map(\.utf8.count) == [2_999_999, 1, 1])
  }
}
