import Foundation
import TestSupport
import Testing

/// Error messages, and the end of the process at signals.
struct FailureTests {
  @Test("messages are one line of bounded length, with control characters escaped")
  func message_isPrintable() throws {
    let result = try Executable.run("info", "no\u{1B}[31m\nwhere")
    #expect(result.status == 1)
    #expect(result.errors == "Error: no\\u{1b}[31m\\u{a}where: there is no such file or folder\n")
    let long = String(repeating: "x", count: 100_000)
    for arguments in [["info", long], ["info", "\u{1B}]0;", long], ["--\u{1B}\(long)"], ["train", "--output"]] {
      let result = try Executable.run(arguments)
      #expect(result.status != 0)
      #expect(result.errors.hasPrefix("Error: ") && result.errors.utf8.count < 8000)
      #expect(!result.errors.contains("\u{1B}"))
    }
    // A long name loses its middle; the problem at the end remains.
    #expect(try Executable.run("info", long).errors.hasSuffix(": there is no such file or folder\n"))
    let refused = try Executable.run("info", "config.json", "--length", long)
    #expect(refused.errors.contains("xxx' is invalid for '--length"))
  }

  @Test("an argument that is not UTF-8 is refused")
  func argument_notUTF8_isReported() throws {
    let result = try Executable.run(
      shell: #"exec "$0" tokenizer encode --tokenizer none "$(printf 'a\377')""#, [])
    expectError(result, "argument 5 is 'a\u{FFFD}', which is not UTF-8")
  }

  @Test("a signal ends the process at once, without a backtrace", arguments: [SIGQUIT, SIGABRT, SIGINT])
  func signal_endsTheProcess(_ number: Int32) throws {
    let pipe = Pipe()
    let running = try Executable.start(
      "tokenizer", "encode", "--tokenizer", Workspace.shared()("tokenizer"), from: pipe)
    usleep(1_500_000)
    kill(running.process.processIdentifier, number)
    let result = try running.wait()
    try pipe.fileHandleForWriting.close()
    #expect(result.status == -number)
    #expect(result.errors == "" && result.output == "")
  }
}
