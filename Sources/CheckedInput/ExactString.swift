/// A string that is compared by its UTF-8 bytes.
///
/// Swift's `String` compares by canonical equivalence: "é" as one scalar and as two scalars are the same dictionary
/// key. In a file they are different keys.
public struct ExactString: Hashable, Sendable, CustomStringConvertible {
  /// The text.
  public let description: String

  /// The given text.
  public init(_ text: String) { description = text }

  /// Whether all bytes are equal.
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
