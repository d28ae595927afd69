/// A token inside of `{{ }}` or `{% %}`, or the text between them.
struct Token: Sendable {
  enum Kind: Sendable, Equatable {
    case text([UInt8])
    case outputStart, outputEnd, blockStart, blockEnd
    case name(String)
    case string([UInt8])
    case integer(Int), float(Double)
    case symbol(String)
    case end
  }

  let kind: Kind
  let line: Int

  /// The token as messages show it.
  var description: String {
    switch kind {
    case .text: "text"
    case .outputStart: "'{{'"
    case .outputEnd: "'}}'"
    case .blockStart: "'{%'"
    case .blockEnd: "'%}'"
    case .name(let name): "'\(name)'"
    case .string: "a string"
    case .integer, .float: "a number"
    case .symbol(let symbol): "'\(symbol)'"
    case .end: "the end of the template"
    }
  }
}
