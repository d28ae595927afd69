import ArgumentParser
import CheckedInput
import Foundation

/// How the command ends where it does not go on: all that it says of an error passes through here.
enum Failure {
  /// The most lines of an explanation of the usage that are shown.
  private static let mostLines = 60

  /// Ends the process as an error says: with help on standard output, or with a sentence on standard error.
  static func end(_ error: any Error) -> Never {
    let (text, code) = message(error)
    if text.isEmpty { exit(code.rawValue) }
    guard code.isSuccess else {
      StandardError.line(text)
      exit(code.rawValue)
    }
    do { try StandardOutput.line(text) } catch { end(error) }
    exit(code.rawValue)
  }

  /// What is said of an error that ends the process, and the status that it ends with.
  static func message(_ error: any Error) -> (text: String, code: ExitCode) {
    let error = plain(error)
    let code = WidebandCommand.exitCode(for: error)
    let text = WidebandCommand.fullMessage(for: error)
    return (code.isSuccess ? text : shown(text, isUsage: code == .validationFailure), code)
  }

  /// What is said of an error in one sentence.
  static func sentence(_ error: any Error) -> String {
    line("\(plain(error))")
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
    guard isUsage else { return line(text) }
    return text.split(separator: "\n", omittingEmptySubsequences: false).prefix(mostLines).map(line)
      .joined(separator: "\n")
  }

  /// One line of at most 2000 characters. A name too long for it loses its middle: what is wrong with it stands at the end.
  private static func line(_ text: some StringProtocol) -> String { printable(text, limit: 2000, end: 1000) }
}
