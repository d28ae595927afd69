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
