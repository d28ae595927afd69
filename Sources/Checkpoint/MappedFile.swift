import Foundation

/// A file mapped into memory for reading, for the lifetime of this object.
///
/// If the file is replaced by a rename, the mapping keeps the old content. If it is truncated in place, reading the
/// mapping crashes; for this reason nothing in this project writes weights in place.
final class MappedFile: @unchecked Sendable {
  private let bytes: UnsafeRawBufferPointer

  /// - Throws: `CheckpointError` if there is no readable regular file at `path`.
  init(_ path: String) throws {
    let file = try FileDescriptor(reading: path)
    let size = try file.size()
    bytes = size == 0 ? UnsafeRawBufferPointer(start: nil, count: 0) : .init(start: try file.map(size), count: size)
  }

  /// Calls `body` with the content, which is valid for the lifetime of this object.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(self) { try body(bytes) }
  }

  deinit {
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
  }
}
