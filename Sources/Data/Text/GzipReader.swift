import Foundation
import WidebandCZlib

/// A decompressor of gzip files: all members in order, as Python's `gzip` reads them.
///
/// Zeros between members and after the last are padding, as tapes and block devices leave them. Other bytes outside a
/// member are an error with their position: no part of a file is skipped silently.
final class GzipReader {
  private let path: String
  private let source: ByteSource
  // On the heap, because zlib stores the stream's address.
  private let stream: UnsafeMutablePointer<z_stream>
  private var input: ArraySlice<UInt8> = []
  /// The offset in the file of the current member; nil between members.
  private var memberStart: Int?
  private var hasMember = false

  /// - Parameter first: the bytes that were read from the source so far.
  init(_ source: ByteSource, path: String, first: [UInt8]) throws {
    self.path = path
    self.source = source
    input = first[...]
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 16 selects gzip's header and checksum; 15 is the maximum window size.
    let code = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard code == Z_OK else {
      stream.deallocate()
      throw DataError.unreadable(path, "zlib \(String(cString: zlibVersion())) cannot be used: error \(code)")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Bytes of the file that were decompressed so far.
  var position: Int { source.position - input.count }

  /// The next decompressed bytes; empty at the end.
  func next() throws -> [UInt8] {
    var output = [UInt8](repeating: 0, count: 1 << 18)
    while true {
      if memberStart == nil, try !startMember() { return [] }
      if input.isEmpty { input = try source.next()[...] }
      guard !input.isEmpty else {
        throw DataError.malformed(
          path, "the gzip member at byte \(memberStart ?? 0) is cut short: the file ends at byte \(position)")
      }
      let written = try inflate(into: &output)
      if written > 0 {
        output.removeLast(output.count - written)
        return output
      }
    }
  }

  /// Advances to the next member; false at the end of the file.
  private func startMember() throws -> Bool {
    while hasMember || input.isEmpty {
      input = input.drop { hasMember && $0 == 0 }
      guard input.isEmpty else { break }
      input = try source.next()[...]
      if input.isEmpty { return false }
    }
    let start = position
    if input.count == 1 { input = (Array(input) + (try source.next()))[...] }
    let magic: [UInt8] = [0x1F, 0x8B]
    guard input.prefix(2).elementsEqual(magic.prefix(input.count)) else {
      let bytes = input.prefix(4).map { String($0, radix: 16, uppercase: true) }.joined(separator: " ")
      throw DataError.malformed(
        path,
        hasMember
          ? "after the gzip member that ends at byte \(start) follows what is no gzip member (\(bytes) in hexadecimal): "
            + "expected another one or the end of the file"
          : "is not a gzip file, though its name ends in .gz")
    }
    inflateReset(stream)
    (memberStart, hasMember) = (start, true)
    return true
  }

  /// Decompresses into `output`.
  ///
  /// - Returns: the number of bytes written.
  private func inflate(into output: inout [UInt8]) throws -> Int {
    let (code, read, written) = output.withUnsafeMutableBufferPointer { output in
      input.withUnsafeBufferPointer { input in
        stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        stream.pointee.avail_in = UInt32(clamping: input.count)
        stream.pointee.next_out = output.baseAddress
        stream.pointee.avail_out = UInt32(clamping: output.count)
        let code = WidebandCZlib.inflate(stream, Z_NO_FLUSH)
        return (code, input.count - Int(stream.pointee.avail_in), output.count - Int(stream.pointee.avail_out))
      }
    }
    input = input.dropFirst(read)
    switch code {
    case Z_OK, Z_BUF_ERROR: break
    case Z_STREAM_END: memberStart = nil
    default:
      let reason = stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(code)"
      throw DataError.malformed(
        path, "the gzip member at byte \(memberStart ?? 0) is damaged at byte \(position): \(reason)")
    }
    return written
  }
}
