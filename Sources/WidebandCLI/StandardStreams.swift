import CheckedInput
import Foundation

/// Descriptors 0 to 2 and the signals, as the process finds them when it starts.
enum StandardStreams {
  /// Occupies descriptors that are closed, and takes back what the Swift runtime does about signals.
  ///
  /// It must run before anything is opened. A file that was opened on a closed descriptor 1 or 2 would get what is
  /// meant for the console. Input and output are opened in the other direction, so that whoever uses them is told;
  /// what is said on standard error may go nowhere.
  static func prepare() {
    for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDWR)] {
      if fcntl(descriptor, F_GETFD) < 0 { _ = open("/dev/null", mode) }
    }
    // A reader that leaves must not end a training run, which writes to standard error alone.
    signal(SIGPIPE, SIG_IGN)
    // The runtime prints a backtrace at these and goes on, if another process has sent them.
    for number in [SIGQUIT, SIGABRT] {
      var action = sigaction()
      if sigaction(number, nil, &action) == 0, action.sa_flags & SA_SIGINFO != 0 { signal(number, SIG_DFL) }
    }
    // A parent that starts processes from a thread of Dispatch's hands on that thread's mask, which blocks them.
    var ending = sigset_t()
    sigemptyset(&ending)
    for number in [SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM, SIGPIPE] { sigaddset(&ending, number) }
    sigprocmask(SIG_UNBLOCK, &ending, nil)
  }

  /// Fails where an argument is not UTF-8: Swift would silently make another text of it.
  static func checkArguments() throws {
    for index in 0..<Int(CommandLine.argc) {
      guard let argument = CommandLine.unsafeArgv[index], String(validatingCString: argument) == nil else { continue }
      throw CommandError("argument \(index) is \(quoted(String(cString: argument))), which is not UTF-8")
    }
  }
}

/// Standard output: every write is checked.
enum StandardOutput {
  /// Writes text as it is.
  ///
  /// Where the reader has left, the process ends as other filters do: by SIGPIPE, without a word.
  ///
  /// - Throws: `CommandError`, if the text cannot be written, such as to a full disk or a closed descriptor.
  static func write(_ text: String) throws { try write(bytes: Array(text.utf8)) }

  /// Writes a line.
  ///
  /// - Throws: as `write`.
  static func line(_ text: String = "") throws { try write(text + "\n") }

  /// Writes bytes as they are.
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
    case let failure: throw CommandError("standard output: cannot be written: \(String(cString: strerror(failure)))")
    }
  }
}

/// Standard error: progress, and what goes wrong. What cannot be written is lost, and nothing fails for it.
enum StandardError {
  /// Writes a line.
  static func line(_ text: String) { _ = written(Array((text + "\n").utf8), to: STDERR_FILENO) }
}

/// Standard input, of bounded length.
enum StandardInput {
  static let name = "standard input"
  /// The most bytes of a prompt, or of a text to encode.
  static let longestText = 256 << 20

  /// All that it gives.
  ///
  /// - Throws: `InputError`, if it is closed, cannot be read or has more than `limit` bytes.
  static func contents(limit: Int) throws -> [UInt8] {
    try boundedContents(ofDescriptor: STDIN_FILENO, name: name, limit: limit)
  }

  /// Its lines, each when it is complete.
  struct Lines {
    let limit: Int
    private var held: [UInt8] = []
    private var isAtEnd = false

    /// - Parameter limit: the most bytes of a line.
    init(limit: Int) { self.limit = limit }

    /// The next line, without its line break; nil at the end.
    ///
    /// - Throws: `InputError` as `contents`.
    mutating func next() throws -> [UInt8]? {
      var searched = 0
      while true {
        if let end = held[searched...].firstIndex(of: UInt8(ascii: "\n")) {
          defer { held.removeFirst(end + 1) }
          return Array(held[..<(end > 0 && held[end - 1] == UInt8(ascii: "\r") ? end - 1 : end)])
        }
        searched = held.count
        guard held.count <= limit else {
          throw InputError("\(name): a line has more than \(limit) bytes: expected at most as many")
        }
        guard !isAtEnd, let more = try nextBytes(ofDescriptor: STDIN_FILENO, name: name) else {
          isAtEnd = true
          defer { held = [] }
          return held.isEmpty ? nil : held
        }
        held += more
      }
    }
  }
}

/// Writes all bytes; 0, or the number of the error that ended it.
private func written(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
  bytes.withUnsafeBytes { bytes in
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count >= 0 {
        rest = rest.dropFirst(count)
        continue
      }
      switch errno {
      case EINTR: continue
      case EAGAIN:
        // Whoever shares a terminal or a pipe may have made it non-blocking.
        var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&request, 1, -1)
      default: return errno
      }
    }
    return 0
  }
}
