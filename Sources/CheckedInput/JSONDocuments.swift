import Foundation

extension JSONValue {
  /// Reads a whole document.
  ///
  /// - Parameters:
  ///   - bytes: the document.
  ///   - file: the document's name in messages.
  ///   - line: the number of the document's line, for files with one document per line.
  /// - Throws: `InputError` with the position, for bytes that are not UTF-8 or not JSON.
  public init(parsing bytes: some Sequence<UInt8>, file: String, line: Int? = nil) throws {
    let bytes = Array(bytes)
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw InputError("\(file): \(line.map { "line \($0) " } ?? "")is not UTF-8")
    }
    self = try bytes.withUnsafeBufferPointer { bytes in
      var scanner = JSONScanner(bytes.withoutByteOrderMark, file: file, line: line)
      let value = try scanner.value()
      try scanner.end()
      return value
    }
  }

  /// Reads the document in a file.
  ///
  /// - Parameter limit: the maximum size of the file in bytes.
  /// - Throws: `InputError` naming the file, if it cannot be read, is too large or is not JSON.
  public init(contentsOf file: URL, limit: Int = 64 << 20) throws {
    self = try JSONValue(parsing: try boundedContents(of: file, limit: limit), file: printable(path: file.path))
  }
}

extension JSONEncoder {
  /// An encoder of documents for people: indented, with sorted keys.
  package static var indented: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return encoder
  }
}

/// A text as a JSON string, in quotes.
package func jsonString(_ text: String) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = .withoutEscapingSlashes
  return String(decoding: try encoder.encode(text), as: UTF8.self)
}

/// The operating system's reason for a failure that Foundation wraps.
public func reason(_ error: any Error) -> String {
  let error = error as NSError
  if error.domain == NSPOSIXErrorDomain { return systemReason(Int32(truncatingIfNeeded: error.code)) }
  if let underlying = error.userInfo[NSUnderlyingErrorKey] as? any Error { return reason(underlying) }
  switch CocoaError.Code(rawValue: error.code) {
  case .fileNoSuchFile, .fileReadNoSuchFile: return "there is no such file"
  case .fileReadNoPermission, .fileWriteNoPermission: return "permission denied"
  case .fileWriteOutOfSpace: return "no space left on the device"
  default: return "error \(error.code)"
  }
}
