import Foundation
import Testing

@testable import CheckedInput

struct BoundedFileTests {
  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "wideband-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private func failure(_ name: String, limit: Int = 10) -> String {
    do { _ = try boundedContents(of: folder.appending(path: name), limit: limit) } catch {
      return "\(error)".replacing("\(folder.path)/", with: "")
    }
    return "no error"
  }

  @Test("only regular files are read, and links to them; nothing is waited for")
  func boundedContents_kinds() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = { (name: String) in folder.appending(path: name).path }
    try Data("0123456789".utf8).write(to: folder.appending(path: "a"))
    #expect(mkfifo(path("fifo"), 0o600) == 0)
    for (name, target) in [("zero", "/dev/zero"), ("lost", "nowhere"), ("linked", "a"), ("loop", "loop")] {
      try FileManager.default.createSymbolicLink(atPath: path(name), withDestinationPath: target)
    }
    #expect(failure("a") == "no error" && failure("linked") == "no error")
    #expect(failure("a", limit: 9) == "a: has 10 bytes: expected at most 9")
    #expect(failure("fifo") == "fifo: is a FIFO: expected a file")
    #expect(failure("zero") == "zero: is a device: expected a file")
    #expect(failure("lost") == "lost: cannot be read: No such file or directory")
    #expect(failure("loop") == "loop: cannot be read: Too many levels of symbolic links")
    // What cannot be looked at is not missing: reading it says why.
    let present = ["a", "linked", "loop", "fifo", "zero", ".", String(repeating: "x", count: 300)]
    for name in present { #expect(isThere(path(name)), "\(name)") }
    for name in ["lost", "nowhere", "a/below"] { #expect(!isThere(path(name)), "\(name)") }
    #expect(failure("a\u{1B}[31m") == "a\\u{1b}[31m: cannot be read: No such file or directory")
  }
}
