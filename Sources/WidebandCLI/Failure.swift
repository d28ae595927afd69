import ArgumentParser
import CheckedInput
import Foundation

/// How the command ends where it does not go on: all that it says of an error passes through here.
enum Failure {
  /// The most characters of a sentence, and lines of an explanation of the usage, that are shown.
  private static let (longestLine, mostLines) = (2000, 60)

  /// Ends the process as an error says: with help on standard output, or with a sentence on standard error.
  static func end(_ error: any Error) -> Never {
    let error = plain(error)
    let code = WidebandCommand.exitCode(for: error)
    let text = WidebandCommand.fullMessage(for: error)
    if text.isEmpty { exit(code.rawValue) }
    guard code.isSuccess else {
      StandardError.line(shown(text, isUsage: code == .validationFailure))
      exit(code.rawValue)
    }
    do { try StandardOutput.line(text) } catch { end(error) }
    exit(code.rawValue)
  }

  /// What is said of an error in one sentence.
  static func sentence(_ error: any Error) -> String {
    printable("\(plain(error))", limit: longestLine)
  }

  /// An error whose description is a sentence: of Foundation's, what the operating system said.
  private static func plain(_ error: any Error) -> any Error {
    switch error {
    case DecodingError.dataCorrupted(let context), DecodingError.keyNotFound(_, let context),
      DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      return CommandError(context.debugDescription)
    case EncodingError.invalidValue(_, let context): return CommandError(context.debugDescription)
    default: break
    }
    let foundation = error as NSError
    guard [NSCocoaErrorDomain, NSPOSIXErrorDomain, NSURLErrorDomain].contains(foundation.domain) else { return error }
    let path = foundation.userInfo[NSFilePathErrorKey] as? String ?? (foundation.userInfo[NSURLErrorKey] as? URL)?.path
    return CommandError((path.map { "\($0): " } ?? "") + reason(error))
  }

  /// A message without anything that a terminal would obey: of a sentence one line, of an explanation of the usage
  /// several.
  private static func shown(_ text: String, isUsage: Bool) -> String {
    guard isUsage else { return printable(text, limit: longestLine) }
    return text.split(separator: "\n", omittingEmptySubsequences: false).prefix(mostLines)
      .map { printable($0, limit: longestLine) }.joined(separator: "\n")
  }
}
