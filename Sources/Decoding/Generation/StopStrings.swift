/// Finds stop strings in text that arrives in pieces.
///
/// Text that could be the beginning of a stop string is held back until more text decides. The result does not depend
/// on the pieces: the stop string that is complete first is found, the longest if several are.
package struct StopStrings {
  private let patterns: [(text: String, bytes: [UInt8])]
  private var held: [UInt8] = []

  /// - Throws: `GenerationError` if a string is empty, as that would stop everywhere.
  package init(_ strings: [String]) throws {
    if let index = strings.firstIndex(of: "") {
      throw GenerationError.invalidOption("stop string \(index + 1) is empty: expected at least one character")
    }
    patterns = strings.map { ($0, Array($0.utf8)) }.sorted { $0.bytes.count > $1.bytes.count }
  }

  /// Appends text, and returns the text that is certain and the stop string that ends it, if one does.
  package mutating func append(_ text: String) -> (text: String, stop: String?) {
    guard !patterns.isEmpty else { return (text, nil) }
    let checked = held.count
    held += text.utf8
    for end in checked..<held.count {
      let prefix = held[...end]
      if let (stop, bytes) = patterns.first(where: { prefix.suffix($0.bytes.count).elementsEqual($0.bytes) }) {
        return (String(decoding: prefix.dropLast(bytes.count), as: UTF8.self), stop)
      }
    }
    let free = held.count - undecided
    defer { held.removeFirst(free) }
    return (String(decoding: held[..<free], as: UTF8.self), nil)
  }

  /// The text that was held back, once no more text can come.
  package mutating func finish() -> String {
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }

  /// The length of the longest suffix of the held text that a stop string begins with. It starts at a character, as stop
  /// strings do.
  private var undecided: Int {
    let longest = (patterns.first?.bytes.count ?? 1) - 1
    for count in stride(from: min(longest, held.count), to: 0, by: -1) {
      let suffix = held.suffix(count)
      if patterns.contains(where: { $0.bytes.count > count && $0.bytes.starts(with: suffix) }) { return count }
    }
    return 0
  }
}
