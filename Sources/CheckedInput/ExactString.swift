/// Text that equals other text only if all bytes do.
///
/// Swift's `String` compares by canonical equivalence: "é" in one scalar and in two are one key to a dictionary. In a
/// file they are two.
public struct ExactString: Hashable, Sendable, CustomStringConvertible {
  /// The text.
  public let description: String

  /// The given text.
  public init(_ text: String) { description = text }

  /// Whether all bytes are the same.
  public static func == (first: ExactString, second: ExactString) -> Bool {
    first.description.utf8.elementsEqual(second.description.utf8)
  }

  /// Hashes the bytes.
  public func hash(into hasher: inout Hasher) {
    var text = description
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    hasher.combine(0xFF as UInt8)
  }
}
