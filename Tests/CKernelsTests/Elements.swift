/// Floats as a kernel takes them: as they are, or rounded to bfloat16.
final class Elements {
  let memory: UnsafeMutableRawPointer
  private let count, bytes: Int

  init(_ source: Memory, bytes: Int) {
    (count, self.bytes) = (source.count, bytes)
    memory = .allocate(byteCount: Swift.max(count * bytes, 16), alignment: 16)
    for index in 0..<count {
      let bits = source.pointer[index].bitPattern
      if bytes == 4 {
        memory.storeBytes(of: bits, toByteOffset: 4 * index, as: UInt32.self)
      } else {
        let rounded = (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
        memory.storeBytes(of: UInt16(truncatingIfNeeded: rounded), toByteOffset: 2 * index, as: UInt16.self)
      }
    }
  }

  deinit { memory.deallocate() }

  var floats: [Float] {
    (0..<count).map { index in
      bytes == 4
        ? memory.load(fromByteOffset: 4 * index, as: Float.self)
        : Float(bitPattern: UInt32(memory.load(fromByteOffset: 2 * index, as: UInt16.self)) << 16)
    }
  }
}
