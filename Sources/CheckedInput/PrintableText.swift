/// Text from a file or a flag as a message shows it: in quotes, on one line, at most 120 characters.
///
/// Control characters are escaped, so that a file cannot send escape sequences to a terminal.
public func quoted(_ text: some StringProtocol) -> String { "'\(printable(text))'" }

/// A path as a message shows it: on one line and in full, unless it has more than 1600 characters; such a path loses
/// its middle, because the command shortens a message to 2000 characters.
public func printable(path: String) -> String { path.isEmpty ? "''" : printable(path, limit: 1600, end: 800) }

/// The same as `quoted` without quotes.
///
/// - Parameters:
///   - limit: the number of Unicode scalars that are shown; "…" stands for the rest.
///   - end: how many of them are the last ones of the text.
public func printable(_ text: some StringProtocol, limit: Int = 120, end: Int = 0) -> String {
  let scalars = text.unicodeScalars
  guard scalars.count > limit else { return escaped(scalars) }
  return escaped(scalars.prefix(limit - end)) + "…" + escaped(scalars.suffix(end))
}

private func escaped(_ scalars: some Sequence<Unicode.Scalar>) -> String {
  scalars.reduce(into: "") { text, scalar in
    text += isPrintable(scalar) ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
  }
}

extension String {
  /// Generated text as part of one line of output: line breaks become spaces, control characters are escaped.
  public var onOneLine: String {
    printable(split(whereSeparator: \.isNewline).joined(separator: " "), limit: .max)
  }
}

/// Whether a scalar has no effect on a terminal but its glyph: no control character, no change of direction.
private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.properties.generalCategory {
  case .control, .lineSeparator, .paragraphSeparator: false
  case .format: ![0x202A...0x202E, 0x2066...0x2069, 0x200E...0x200F].contains { $0.contains(scalar.value) }
  default: true
  }
}
