import Foundation

/// A safetensors file with any header, `dataCount` zero bytes of data, and any header length.
func safetensorsFile(_ header: String, dataCount: Int = 0, length: UInt64? = nil) -> Data {
  let length = length ?? UInt64(header.utf8.count)
  return withUnsafeBytes(of: length.littleEndian) { Data($0) } + Data(header.utf8) + Data(count: dataCount)
}

/// An error that interrupts a write.
struct Interruption: Error {}
