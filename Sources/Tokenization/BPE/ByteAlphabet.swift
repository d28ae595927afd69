/// The byte-level alphabet of GPT-2: a bijection between the 256 bytes and 256 printable scalars.
///
/// `tokenizer.json` spells every vocabulary entry in it. The printable characters of ASCII and Latin-1 spell their own
/// bytes; the other 68 bytes are mapped, in order, to the scalars from U+0100 (a space is "Ġ", a newline "Ċ").
enum ByteAlphabet {
  /// The scalar value that spells each byte, `[256]`.
  static let scalarOfByte: [UInt32] = {
    var next: UInt32 = 0x100
    return (0...255).map { (byte: UInt32) in
      if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE { return byte }
      defer { next += 1 }
      return next
    }
  }()

  /// The byte each scalar value below U+0144 spells, or -1.
  private static let byteOfScalar: [Int16] = {
    var table = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalarOfByte.enumerated() { table[Int(scalar)] = Int16(byte) }
    return table
  }()

  /// Appends the bytes that `spelling`, valid UTF-8, spells; false, with `output` unchanged, if a scalar is not in the
  /// alphabet.
  static func decode(_ spelling: Bytes, into output: inout [UInt8]) -> Bool {
    let before = output.count
    return byteOfScalar.withUnsafeBufferPointer { table in
      var index = 0
      while index < spelling.count {
        let (value, length) = UTF8Text.scalar(in: spelling, at: index)
        guard value < 0x144, table[Int(value)] >= 0 else {
          output.removeLast(output.count - before)
          return false
        }
        output.append(UInt8(truncatingIfNeeded: table[Int(value)]))
        index += length
      }
      return true
    }
  }

  /// The bytes that `spelling` spells, or nil if a scalar is not in the alphabet.
  static func bytes(spelled spelling: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    return Array(spelling.utf8).withUnsafeBufferPointer { decode($0, into: &bytes) } ? bytes : nil
  }

  /// The spelling of `bytes`, as UTF-8.
  static func encode(_ bytes: some Sequence<UInt8>) -> [UInt8] {
    var spelling: [UInt8] = []
    for byte in bytes { UTF8Text.append(scalarOfByte[Int(byte)], to: &spelling) }
    return spelling
  }
}
