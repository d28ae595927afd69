/// Mutations of a text of lines: words, numbers and lines are replaced, moved and repeated.
enum TextMutation {
  static func mutated(_ text: [UInt8], _ random: inout Randomness) -> [UInt8] {
    var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
    for _ in 0...random.below(3) {
      let index = random.below(lines.count)
      switch random.below(7) {
      case 0: lines.remove(at: index)
      case 1: lines.insert(lines[index], at: random.below(lines.count))
      case 2: lines.swapAt(index, random.below(lines.count))
      case 3:
        lines[index].insert(contentsOf: random.pick(["  ", "- ", "&a ", "*a", "? ", "!!int ", "%", "\t"]).utf8, at: 0)
      default: lines[index] = replaced(lines[index], &random)
      }
      if lines.isEmpty { lines = [[]] }
    }
    var result = Array(lines.joined(separator: [UInt8(ascii: "\n")]))
    if random.once(in: 8) { ByteMutation.apply(&result, &random) }
    return result
  }

  /// The line with one of its words or numbers replaced.
  private static func replaced(_ line: [UInt8], _ random: inout Randomness) -> [UInt8] {
    func isWord(_ byte: UInt8) -> Bool {
      (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || [0x2B, 0x2D, 0x2E].contains(byte)
    }
    var words: [Range<Int>] = []
    var start: Int?
    for (index, byte) in (line + [0]).enumerated() {
      if isWord(byte) {
        start = start ?? index
      } else if let first = start {
        words.append(first..<index)
        start = nil
      }
    }
    guard !words.isEmpty else { return line + random.pick(Self.words).utf8 }
    var line = line
    // Replace the value of a key more often than the key.
    let word = random.once(in: 3) ? random.pick(words) : words[words.count - 1]
    line.replaceSubrange(word, with: random.pick(Self.words).utf8)
    return line
  }

  static let words = [
    "", "0", "-1", "1", "2", "0.5", ".nan", ".inf", "-.inf", "1e39", "1e300", "1e400", "0x7f", "0o17", "1_000", "~",
    "null", "true", "yes", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "[]",
    "{}", "[1, 2]", "{a: 1}", "'", "\"", "\u{1B}[31m", "é", "e\u{301}", "inf", "nan", "99999999999999999999999", "2.5",
  ]
}
