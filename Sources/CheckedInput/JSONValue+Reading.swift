import Foundation

extension JSONValue {
  /// Reads a whole document.
  ///
  /// - Parameters:
  ///   - bytes: the document.
  ///   - file: what messages call it.
  ///   - line: the line of the file that the document is, for files with a document a line.
  /// - Throws: `InputError` for what is not UTF-8 or not JSON, with the place.
  public init(parsing bytes: some Sequence<UInt8>, file: String, line: Int? = nil) throws {
    let bytes = Array(bytes)
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw InputError("\(file): \(line.map { "line \($0) " } ?? "")is not UTF-8")
    }
    self = try bytes.withUnsafeBufferPointer { bytes in
      // Some editors and exporters put a mark before the text.
      let hasMark = bytes.starts(with: [0xEF, 0xBB, 0xBF])
      var scanner = JSONScanner(
        hasMark ? UnsafeBufferPointer(rebasing: bytes.dropFirst(3)) : bytes, file: file, line: line)
      let value = try scanner.value()
      try scanner.end()
      return value
    }
  }

  /// Reads the document in a file.
  ///
  /// - Parameter limit: the most bytes that such a file may have.
  /// - Throws: `InputError` naming the file, if it cannot be read, is too large or is not JSON.
  public init(contentsOf file: URL, limit: Int = 64 << 20) throws {
    self = try JSONValue(parsing: try boundedContents(of: file, limit: limit), file: printable(path: file.path))
  }
}

/// The content of a regular file of bounded size.
///
/// - Parameter limit: the most bytes that such a file may have.
/// - Throws: `InputError` naming the file and why it cannot be read, or its size.
public func boundedContents(of file: URL, limit: Int) throws -> Data {
  let handle: FileHandle
  do {
    // A FIFO without a writer would block for ever, and a device may have no end.
    let attributes = try FileManager.default.attributesOfItem(atPath: file.resolvingSymlinksInPath().path)
    let type = attributes[.type] as? FileAttributeType
    guard type == .typeRegular else {
      throw InputError("\(printable(path: file.path)): is \(describe(type)): expected a file")
    }
    if let size = attributes[.size] as? Int, size > limit {
      throw InputError("\(printable(path: file.path)): has \(size) bytes: expected at most \(limit)")
    }
    handle = try FileHandle(forReadingFrom: file)
  } catch let error as InputError {
    throw error
  } catch { throw InputError("\(printable(path: file.path)): cannot be read: \(reason(error))") }
  defer { try? handle.close() }
  do { return try handle.read(upToCount: limit) ?? Data() } catch {
    throw InputError("\(printable(path: file.path)): cannot be read: \(reason(error))")
  }
}

private func describe(_ type: FileAttributeType?) -> String {
  switch type {
  case .typeDirectory?: "a folder"
  case .typeSocket?: "a socket"
  case .typeCharacterSpecial?, .typeBlockSpecial?: "a device"
  default: "not a file"
  }
}

/// What the operating system says of a failure that Foundation wraps, in its own words.
public func reason(_ error: any Error) -> String {
  let error = error as NSError
  if error.domain == NSPOSIXErrorDomain { return String(cString: strerror(Int32(truncatingIfNeeded: error.code))) }
  if let underlying = error.userInfo[NSUnderlyingErrorKey] as? any Error { return reason(underlying) }
  switch CocoaError.Code(rawValue: error.code) {
  case .fileNoSuchFile, .fileReadNoSuchFile: return "there is no such file"
  case .fileReadNoPermission, .fileWriteNoPermission: return "permission denied"
  case .fileWriteOutOfSpace: return "no space left on the device"
  default: return "error \(error.code)"
  }
}
