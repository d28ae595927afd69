import Foundation

/// A whole file mapped into memory for reading, for as long as somebody holds this object.
///
/// A file that is replaced by renaming stays as it was here; one that is shortened in place while mapped must not be
/// read any more, which is why nothing in this project writes in place.
final class MappedFile: @unchecked Sendable {
  private let bytes: UnsafeRawBufferPointer

  /// - Throws: `CheckpointError` if there is no readable regular file at `path`.
  init(_ path: String) throws {
    let file = try FileDescriptor(reading: path)
    let size = try file.size()
    bytes = size == 0 ? UnsafeRawBufferPointer(start: nil, count: 0) : .init(start: try file.map(size), count: size)
  }

  /// Lends the content, which is valid no longer than `body` runs or this object lives.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(self) { try body(bytes) }
  }

  deinit {
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
  }
}
