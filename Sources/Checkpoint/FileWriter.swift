import WidebandCheckedInput

/// An append-only file; an append that fails leaves it as it was.
///
/// Unbuffered: appended bytes are in the operating system's hands, so a killed process loses none of them.
package final class FileWriter {
  private let file: FileDescriptor
  /// The size in bytes.
  package private(set) var size: Int

  /// Opens the file at `path`, or creates it.
  package init(_ path: String) throws {
    file = try FileDescriptor(writing: path)
    size = sizeOfFile(path)
  }

  /// Appends bytes.
  package func append(_ bytes: UnsafeRawBufferPointer) throws {
    do { try file.write(bytes, at: size) } catch {
      try? file.truncate(to: size)
      throw error
    }
    size += bytes.count
  }

  /// Appends text as UTF-8.
  package func append(_ text: String) throws {
    var text = text
    try text.withUTF8 { try append(UnsafeRawBufferPointer($0)) }
  }

  /// Replaces existing bytes from `offset` on.
  package func replace(at offset: Int, with bytes: UnsafeRawBufferPointer) throws { try file.write(bytes, at: offset) }

  /// Removes everything from byte `size` on.
  package func truncate(to size: Int) throws {
    try file.truncate(to: size)
    self.size = size
  }
}
