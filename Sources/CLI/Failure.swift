import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// The messages and exit statuses of errors.
enum Failure {
  /// The maximum number of lines of a usage message.
  private static let maximumLines = 60

  /// The exit status of a run with a loss, gradient or weight that is not finite. `wideband study` counts that as a
  /// result.
  static let divergedStatus: Int32 = 3

  /// Ends the process with an error's status, and help on standard output or a sentence on standard error.
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

  /// The message and the exit status of an error that ends the process.
  static func message(_ error: any Error) -> (text: String, code: ExitCode) {
    let error = plain(error)
    let code = isDivergence(error) ? ExitCode(divergedStatus) : WidebandCommand.exitCode(for: error)
    let text = WidebandCommand.fullMessage(for: error)
    return (code.isSuccess ? text : shown(text, isUsage: code == .validationFailure), code)
  }

  private static func isDivergence(_ error: any Error) -> Bool {
    if case TrainingError.notFinite? = error as? TrainingError { true } else { false }
  }

  /// An error as one sentence.
  static func sentence(_ error: any Error) -> String {
    line("\(plain(error))")
  }

  /// An error whose description is a sentence: for Foundation's errors, the operating system's reason.
  private static func plain(_ error: any Error) -> any Error {
    switch error {
    case let error as DecodingError: return CommandError(error.sentence)
    case EncodingError.invalidValue(_, let context): return CommandError(context.debugDescription)
    default: break
    }
    let foundation = error as NSError
    guard [NSCocoaErrorDomain, NSPOSIXErrorDomain, NSURLErrorDomain].contains(foundation.domain) else { return error }
    let path = foundation.userInfo[NSFilePathErrorKey] as? String ?? (foundation.userInfo[NSURLErrorKey] as? URL)?.path
    return CommandError((path.map { "\($0): " } ?? "") + reason(error))
  }

  /// A message with control characters escaped: a sentence as one line, a usage message as several.
  private static func shown(_ text: String, isUsage: Bool) -> String {
    guard isUsage else { return line(text) }
    return text.split(separator: "\n", omittingEmptySubsequences: false).prefix(maximumLines).map(line)
      .joined(separator: "\n")
  }

  /// One line of at most 2000 characters. A longer one loses its middle, because the problem is at the end.
  private static func line(_ text: some StringProtocol) -> String { printable(text, limit: 2000, end: 1000) }
}

/// An error of a command, as one sentence.
struct CommandError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
