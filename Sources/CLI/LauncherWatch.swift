import Foundation

/// Ends a process that `wideband launch` started when launch is gone, even if it was killed.
///
/// The processes share the reading end of a pipe as their standard input, and launch alone has the writing end. The system
/// closes it when launch ends in any way. Checkpoints are atomic, so the run can be resumed.
enum LauncherWatch {
  /// The environment variable that says that standard input is such a pipe.
  static let variable = "WIDEBAND_LAUNCHED"

  /// Starts to watch, if launch started this process. Standard input is empty after that.
  static func begin() {
    guard getenv(variable) != nil else { return }
    unsetenv(variable)
    let pipe = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
    let empty = open("/dev/null", O_RDONLY)
    guard pipe >= 0, empty >= 0 else { return }
    dup2(empty, STDIN_FILENO)
    close(empty)
    Thread.detachNewThread {
      var byte: UInt8 = 0
      var count = 1
      while count > 0 || (count < 0 && errno == EINTR) { count = read(pipe, &byte, 1) }
      kill(getpid(), SIGKILL)
    }
  }
}
