import Foundation
import WidebandCheckedInput

/// The initial state of descriptors 0 to 2 and of signals.
enum StandardStreams {
  /// Opens closed standard descriptors, and reverts the Swift runtime's handling of signals.
  ///
  /// It must run before any file is opened: a file on a closed descriptor 1 or 2 would receive console output. Standard
  /// input and output are opened in the wrong direction, so that using them is an error; standard error is discarded.
  static func prepare() {
    for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDWR)] {
      if fcntl(descriptor, F_GETFD) < 0 { _ = open("/dev/null", mode) }
    }
    // A closed pipe must not end a training run, which only writes to standard error.
    signal(SIGPIPE, SIG_IGN)
    // The runtime prints a backtrace for these signals and continues if another process has sent them.
    for number in [SIGQUIT, SIGABRT] {
      var action = sigaction()
      if sigaction(number, nil, &action) == 0, action.sa_flags & SA_SIGINFO != 0 { signal(number, SIG_DFL) }
    }
    // A parent that starts this process from a Dispatch thread passes on that thread's mask, which blocks these
    // signals.
    var ending = sigset_t()
    sigemptyset(&ending)
    for number in [SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM, SIGPIPE] { sigaddset(&ending, number) }
    sigprocmask(SIG_UNBLOCK, &ending, nil)
  }

  /// Fails if an argument is not UTF-8: Swift would silently repair it.
  static func checkArguments() throws {
    for index in 0..<Int(CommandLine.argc) {
      guard let argument = CommandLine.unsafeArgv[index], String(validatingCString: argument) == nil else { continue }
      throw CommandError("argument \(index) is \(quoted(String(cString: argument))), which is not UTF-8")
    }
  }
}

/// Standard output, with checked writes.
enum StandardOutput {
  /// Writes text.
  ///
  /// If the reader has closed the pipe, the process ends by SIGPIPE without a message, as other filters do.
  ///
  /// - Throws: `CommandError` if the text cannot be written, such as to a full disk or a closed descriptor.
  static func write(_ text: String) throws { try write(bytes: Array(text.utf8)) }

  /// Writes a line.
  ///
  /// - Throws: as `write`.
  static func line(_ text: String = "") throws { try write(text + "\n") }

  /// Writes a value as a line of JSON with sorted keys.
  ///
  /// - Throws: as `write`.
  static func line(json value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try write(bytes: encoder.encode(value) + [UInt8(ascii: "\n")])
  }

  /// Writes bytes.
  ///
  /// - Throws: as `write`.
  static func write(bytes: [UInt8]) throws {
    switch written(bytes, to: STDOUT_FILENO) {
    case 0: return
    case EPIPE:
      signal(SIGPIPE, SIG_DFL)
      raise(SIGPIPE)
      _exit(128 + SIGPIPE)
    case EBADF: throw CommandError("standard output: cannot be written: it is closed")
    case let failure: throw CommandError("standard output: cannot be written: \(systemReason(failure))")
    }
  }
}

/// Standard error, for progress and errors. Failed writes are ignored.
enum StandardError {
  /// Writes a line.
  static func line(_ text: String) { write(text + "\n") }

  /// Writes text.
  static func write(_ text: String) { _ = written(Array(text.utf8), to: STDERR_FILENO) }
}

/// Standard input, of bounded length.
enum StandardInput {
  static let name = "standard input"
  /// The maximum size of a prompt, or of a text to encode, in bytes.
  static let maximumTextBytes = 256 << 20

  /// The whole content.
  ///
  /// - Throws: `InputError` if it is closed, cannot be read or has more than `limit` bytes.
  static func contents(limit: Int) throws -> [UInt8] {
    try boundedContents(ofDescriptor: STDIN_FILENO, name: name, limit: limit)
  }

  /// The lines, each returned as soon as it is complete.
  struct Lines {
    let limit: Int
    private var buffer: [UInt8] = []
    private var isAtEnd = false

    /// - Parameter limit: the maximum size of a line in bytes.
    init(limit: Int) { self.limit = limit }

    /// The next line, without its line break; nil at the end.
    ///
    /// - Throws: `InputError`, as ``contents(limit:)``.
    mutating func next() throws -> [UInt8]? {
      var searched = 0
      while true {
        if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
          defer { buffer.removeFirst(end + 1) }
          return Array(buffer[..<(end > 0 && buffer[end - 1] == UInt8(ascii: "\r") ? end - 1 : end)])
        }
        searched = buffer.count
        guard buffer.count <= limit else {
          throw InputError("\(name): a line has more than \(limit) bytes: expected at most as many")
        }
        guard !isAtEnd, let more = try nextBytes(ofDescriptor: STDIN_FILENO, name: name) else {
          isAtEnd = true
          defer { buffer = [] }
          return buffer.isEmpty ? nil : buffer
        }
        buffer += more
      }
    }
  }
}

private func written(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
  bytes.withUnsafeBytes { writeAll($0, to: descriptor) }
}
