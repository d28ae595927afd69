import Foundation
import TestSupport
import Testing

@testable import WidebandCheckedInput

struct BoundedFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func failure(_ name: String, limit: Int = 10) -> String {
    message { try boundedContents(of: folder.url(name), limit: limit) }.replacing("\(folder.path)/", with: "")
  }

  @Test("only regular files and links to them are read, without blocking")
  func boundedContents_kinds() throws {
    try folder.write("a", text: "0123456789")
    #expect(mkfifo(folder("fifo"), 0o600) == 0)
    for (name, target) in [("zero", "/dev/zero"), ("lost", "nowhere"), ("linked", "a"), ("loop", "loop")] {
      try FileManager.default.createSymbolicLink(atPath: folder(name), withDestinationPath: target)
    }
    #expect(failure("a") == "no error" && failure("linked") == "no error")
    #expect(failure("a", limit: 9) == "a: has 10 bytes: expected at most 9")
    #expect(failure("fifo") == "fifo: is a FIFO: expected a file")
    #expect(failure("zero") == "zero: is a device: expected a file")
    #if os(Linux)
      #expect(mknod(folder("socket"), S_IFSOCK | 0o600, 0) == 0)
      #expect(failure("socket") == "socket: is a socket: expected a file")
    #endif
    #expect(failure("lost") == "lost: cannot be read: No such file or directory")
    #expect(failure("loop") == "loop: cannot be read: Too many levels of symbolic links")
    // A path that cannot be examined counts as existing.
    let present = ["a", "linked", "loop", "fifo", "zero", ".", String(repeating: "x", count: 300)]
    for name in present { #expect(exists(folder(name)), "\(name)") }
    for name in ["lost", "nowhere", "a/below"] { #expect(!exists(folder(name)), "\(name)") }
    #expect(failure("a\u{1B}[31m") == "a\\u{1b}[31m: cannot be read: No such file or directory")
  }
}
