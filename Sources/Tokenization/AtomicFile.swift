import Foundation

/// Files that a reader sees whole or not at all.
enum AtomicFile {
  /// Writes `bytes` beside `url` under a temporary name, syncs them and renames.
  ///
  /// - Throws: ``TokenizationError`` that names the file and what the system says; nothing is left behind then.
  static func save(_ bytes: [UInt8], to url: URL) throws {
    let temporary = "\(url.path).\(ProcessInfo.processInfo.processIdentifier).tmp"
    func failure() -> TokenizationError {
      let reason = String(cString: strerror(errno))
      return TokenizationError("\(url.path): cannot be written: \(reason)")
    }
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw failure() }
    do {
      try bytes.withUnsafeBytes { buffer in
        var offset = 0
        while offset < buffer.count {
          let rest = UnsafeRawBufferPointer(rebasing: buffer[offset...])
          let count = write(descriptor, rest.baseAddress, rest.count)
          guard count > 0 || (count < 0 && errno == EINTR) else { throw failure() }
          offset += max(count, 0)
        }
      }
      guard fsync(descriptor) == 0 else { throw failure() }
      guard rename(temporary, url.path) == 0 else { throw failure() }
      close(descriptor)
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
  }
}
