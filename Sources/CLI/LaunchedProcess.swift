import Foundation
import WidebandCheckedInput

/// A process that `wideband launch` or `wideband study` started, until its status is collected.
struct LaunchedProcess {
  private let identifier: pid_t

  /// Starts a program whose descriptors are copies of those in `streams`, by number.
  ///
  /// The process has a process group of its own: Ctrl-C in a terminal would otherwise reach it twice, from the terminal and
  /// from its parent. Signals have their default handlers.
  ///
  /// - Parameters:
  ///   - output: the pipe among `streams` from which the output is collected; nil for none.
  ///   - ended: called on another thread when the process has ended, with the last lines of collected output. The process
  ///     identifier remains its own until ``collectStatus()``.
  init(
    _ executable: String, _ arguments: [String], _ environment: [String: String], _ streams: [(from: Int32, to: Int32)],
    collecting output: OutputPipe? = nil, ended: @escaping @Sendable (String) -> Void
  ) throws {
    let identifier = try spawn(executable, [executable] + arguments, environment, streams)
    self.identifier = identifier
    Thread.detachNewThread {
      let lines = output?.lastLines() ?? ""
      var information = siginfo_t()
      while waitid(P_PID, id_t(identifier), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
      ended(lines)
    }
  }

  /// Sends a signal.
  func send(_ signal: Int32) { kill(identifier, signal) }

  /// Collects the exit status of a process that has ended: 128 + n for signal n.
  func collectStatus() -> Int32 {
    var status: Int32 = 0
    while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7F
    return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
  }
}

/// Starts a program whose descriptors are copies of those in `streams`, by number, with default signals.
private func spawn(
  _ executable: String, _ arguments: [String], _ environment: [String: String], _ streams: [(from: Int32, to: Int32)]
) throws -> pid_t {
  #if canImport(Darwin)
    var actions: posix_spawn_file_actions_t?
    var attributes: posix_spawnattr_t?
  #else
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
  #endif
  posix_spawn_file_actions_init(&actions)
  posix_spawnattr_init(&attributes)
  defer {
    posix_spawn_file_actions_destroy(&actions)
    posix_spawnattr_destroy(&attributes)
  }
  for stream in streams { posix_spawn_file_actions_adddup2(&actions, stream.from, stream.to) }
  var signals = sigset_t()
  sigemptyset(&signals)
  posix_spawnattr_setsigmask(&attributes, &signals)
  for number in [SIGHUP, SIGINT, SIGTERM, SIGPIPE] { sigaddset(&signals, number) }
  posix_spawnattr_setsigdefault(&attributes, &signals)
  posix_spawnattr_setflags(
    &attributes, Int16(POSIX_SPAWN_SETPGROUP) | Int16(POSIX_SPAWN_SETSIGDEF) | Int16(POSIX_SPAWN_SETSIGMASK))
  var strings = arguments.map { strdup($0) } + [nil]
  var variables = environment.map { strdup("\($0)=\($1)") } + [nil]
  defer { for string in strings + variables { free(string) } }
  var identifier: pid_t = 0
  let failure = posix_spawn(&identifier, executable, &actions, &attributes, &strings, &variables)
  guard failure == 0 else { throw CommandError("\(printable(path: executable)): \(systemReason(failure))") }
  return identifier
}

/// A pipe whose ends a started process has only where they are given to it.
struct OutputPipe {
  let reading: Int32
  let writing: Int32

  /// The maximum size of the end of an output that is kept, in bytes, and the number of its lines.
  private static let maximum = (bytes: 8192, lines: 20)

  init() throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw CommandError("no pipe for a process: \(systemReason())") }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    (reading, writing) = (ends[0], ends[1])
  }

  func closeWritingEnd() { close(writing) }

  /// Reads to the end and closes the pipe.
  ///
  /// - Returns: the last lines.
  func lastLines() -> String {
    defer { close(reading) }
    var kept: [UInt8] = []
    while let bytes = try? nextBytes(ofDescriptor: reading, name: "output") {
      kept = Array((kept + bytes).suffix(Self.maximum.bytes))
    }
    let lines = String(decoding: kept, as: UTF8.self).split(whereSeparator: \.isNewline)
    return lines.suffix(Self.maximum.lines).map { printable($0, limit: 1000) }.joined(separator: "\n")
  }
}
