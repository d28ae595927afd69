import Foundation
import Testing
import WidebandCheckedInput

@Suite struct NumbersTests {
  @Test("displayed numbers are rounded and clamped")
  func integer_clamping() {
    #expect(Int(clamping: 2.5) == 3)
    #expect(Int(clamping: 1e300) == .max)
    #expect(Int(clamping: -.infinity) == .min)
    #expect(Int(clamping: .nan, to: 0...9) == 0)
    #expect(Int(clamping: 11, to: 0...9) == 9)
  }

  @Test("sums and products that do not fit are nil")
  func arithmetic_overflow() {
    #expect(Int.product(3, 4, 5) == 60)
    #expect(Int.product(.max, 2) == nil)
    #expect(Int.product(.max, .max, 0) == 0)
    #expect(Int.product([]) == 1)
    #expect(Int.sum([1, 2, 3]) == 6)
    #expect(Int.sum([.max, 1]) == nil)
  }

  @Test("a message shows text on one line, escaped and shortened")
  func text_printable() {
    #expect(quoted("a\u{1B}[31mb\nc") == "'a\\u{1b}[31mb\\u{a}c'")
    #expect(quoted("\u{202E}x") == "'\\u{202e}x'")
    #expect(quoted(String(repeating: "x", count: 1000)).count == 123)
    #expect(printable("abcdefgh", limit: 5, end: 2) == "abc…gh" && printable("abcde", limit: 5, end: 2) == "abcde")
    #expect(quoted("naïve 日本 👩‍👩‍👧") == "'naïve 日本 👩‍👩‍👧'")
  }

  @Test("exact strings are compared by their bytes")
  func exactString_bytes() {
    #expect(ExactString("\u{E9}") != ExactString("e\u{301}"))
    #expect(Set(["\u{E9}", "e\u{301}", "\u{E9}"].map(ExactString.init)).count == 2)
  }
}
