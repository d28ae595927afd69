import Foundation

/// Writes all bytes to a descriptor, in as many system calls as that takes.
///
/// - Parameter offset: the offset in the file; nil for the descriptor's position.
/// - Returns: 0, or the `errno` of the call that failed.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int? = nil) -> Int32 {
  // Linux and macOS write at most about 2 GiB per call, and macOS refuses larger sizes.
  let maximum = 1 << 30
  var done = 0
  while done < bytes.count {
    let rest = UnsafeRawBufferPointer(rebasing: bytes[done...].prefix(maximum))
    let count =
      offset.map { pwrite(descriptor, rest.baseAddress, rest.count, off_t($0 + done)) }
      ?? write(descriptor, rest.baseAddress, rest.count)
    if count > 0 {
      done += count
      continue
    }
    switch errno {
    case EINTR: continue
    // Another process that shares a terminal or a pipe may have made it non-blocking.
    case EAGAIN: _ = isReady(descriptor, for: POLLOUT, within: -1)
    // A write of zero bytes sets no errno.
    case let code: return count < 0 ? code : EIO
    }
  }
  return 0
}
