import Foundation
import TestSupport
import Testing

@testable import WidebandCheckpoint

@Suite struct AtomicTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func file_isReplacedAtomically() throws {
    let url = folder.url("notes.txt")
    try AtomicFile.write(Data("first, and longer".utf8), to: url)
    try AtomicFile.write(to: url) { append in
      for piece in ["sec", "", "ond"] { try Data(piece.utf8).withUnsafeBytes(append) }
      #expect(try String(contentsOf: url, encoding: .utf8) == "first, and longer")
    }
    #expect(try String(contentsOf: url, encoding: .utf8) == "second")
    #expect(try folder.names() == ["notes.txt"])
  }

  @Test func file_interrupted_leavesNothing() throws {
    let url = folder.url("notes.txt")
    try AtomicFile.write(Data("old".utf8), to: url)
    #expect(throws: Interruption.self) {
      try AtomicFile.write(to: url) { append in
        try Data("new".utf8).withUnsafeBytes(append)
        #expect(try folder.names().count == 2)
        throw Interruption()
      }
    }
    #expect(try String(contentsOf: url, encoding: .utf8) == "old")
    #expect(try folder.names() == ["notes.txt"])
  }

  @Test func write_failure_namesThePath() throws {
    try Data().write(to: folder.url("file"))
    let under = folder.url("file/notes.txt")
    let missing = folder.url("missing/model")
    #expect(
      message { try AtomicFile.write(Data(), to: under) }
        == "\(under.path): cannot create a temporary file next to it: Not a directory")
    #expect(
      message { try AtomicFolder.write(to: missing) { _ in } }
        == "\(missing.path): cannot create a temporary folder next to it: No such file or directory")
    let occupied = folder.url("occupied")
    try FileManager.default.createDirectory(at: occupied, withIntermediateDirectories: false)
    #expect(
      message { try AtomicFile.write(Data("x".utf8), to: occupied) }
        == "\(occupied.path): cannot rename the temporary file into place: Is a directory")
    #expect(try folder.names() == ["file", "occupied"])
  }

  #if os(Linux)
    @Test func file_inReadOnlyFileSystem_isNamed() {
      #expect(
        message { try AtomicFile.write(Data(), to: URL(filePath: "/proc/model.safetensors")) }
          == "/proc/model.safetensors: cannot create a temporary file next to it: No such file or directory")
    }

    /// The descriptor is redirected to a device that is always full.
    @Test func file_fullDisk_leavesNothing() throws {
      let url = folder.url("model.safetensors")
      let found = message {
        try AtomicFile.write(to: url) { append in
          try Data(count: 100).withUnsafeBytes(append)
          let temporary = try #require(folder.names().first)
          let numbers = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
          let number = try #require(
            numbers.first {
              let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
              return target?.hasSuffix(temporary) == true
            })
          let full = open("/dev/full", O_WRONLY)
          #expect(dup2(full, number) == number)
          close(full)
          try Data(count: 4096).withUnsafeBytes(append)
        }
      }
      #expect(found == "\(url.path): cannot write 4096 bytes: No space left on device")
      #expect(try folder.names() == [])
    }
  #endif

  @Test func folder_isReplacedAtomically() throws {
    let url = folder.url("model")
    for names in [["a", "b"], ["b", "c"]] {
      try AtomicFolder.write(to: url, replacing: true) { temporary in
        for name in names { try Data(name.utf8).write(to: temporary.appending(path: name)) }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() == names)
    }
    #expect(try folder.names() == ["model"])
  }

  @Test("the folder exists at every moment while it is replaced")
  func replacing_leavesNoGap() async throws {
    let url = folder.url("model")
    try AtomicFolder.write(to: url) { try Data("old".utf8).write(to: $0.appending(path: "a")) }
    let path = url.path
    let gaps = Task.detached {
      var gaps = 0
      while !Task.isCancelled { gaps += access(path, F_OK) == 0 ? 0 : 1 }
      return gaps
    }
    for _ in 0..<200 {
      try AtomicFolder.write(to: url, replacing: true) { try Data("new".utf8).write(to: $0.appending(path: "a")) }
    }
    gaps.cancel()
    #expect(await gaps.value == 0)
    #expect(try folder.names() == ["model"])
  }

  @Test("writing a folder removes temporary folders of killed processes, but none in use")
  func writing_sweeps() throws {
    let dead = try deadProcess()
    let (left, held) = (folder.url(".wideband-\(dead)-session-1"), folder.url(".wideband-\(dead)-session-2"))
    for folder in [left, held] {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
      try Data(count: 10).write(to: folder.appending(path: "model.safetensors"))
    }
    // A process in another container, whose number does not exist here, holds the lock.
    let holder = try FileDescriptor(reading: held.path)
    #expect(holder.lock())
    try AtomicFolder.write(to: folder.url("model")) { try Data().write(to: $0.appending(path: "a")) }
    #expect(try folder.names() == [held.lastPathComponent, "model"])
    withExtendedLifetime(holder) {}
  }

  @Test func folder_interrupted_leavesNothing() throws {
    let url = folder.url("model")
    try AtomicFolder.write(to: url) { try Data("old".utf8).write(to: $0.appending(path: "a")) }
    #expect(throws: Interruption.self) {
      try AtomicFolder.write(to: url, replacing: true) { temporary in
        try Data("new".utf8).write(to: temporary.appending(path: "a"))
        throw Interruption()
      }
    }
    #expect(try String(contentsOf: url.appending(path: "a"), encoding: .utf8) == "old")
    #expect(try folder.names() == ["model"])
  }

  @Test func folder_failure_namesTheFinalPath() throws {
    let url = folder.url("model")
    let found = message {
      try AtomicFolder.write(to: url) { try AtomicFile.write(Data(), to: $0.appending(path: "missing/a")) }
    }
    #expect(
      found == "\(url.path)/missing/a: cannot create a temporary file next to it: No such file or directory")
  }

  @Test("a FIFO is not replaced")
  func file_overFIFO() throws {
    let url = folder.url("pipe")
    try #require(mkfifo(url.path, 0o600) == 0)
    let found = message { try AtomicFile.write(Data("x".utf8), to: url) }
    #expect(found == "\(url.path): is a device or a FIFO: expected the name of a file")
    #expect(try folder.names() == ["pipe"])
  }

  @Test func folder_overFile_isRefused() throws {
    let url = folder.url("model")
    try Data("precious".utf8).write(to: url)
    let found = message { try AtomicFolder.write(to: url) { _ in } }
    #expect(found == "\(url.path): cannot rename the temporary folder into place: Not a directory")
    #expect(try String(contentsOf: url, encoding: .utf8) == "precious")
    #expect(try folder.names() == ["model"])
  }

  @Test func sweep_removesFilesOfKilledProcesses() throws {
    let dead = try deadProcess()
    let kept = [TemporaryName().text, ".hidden", ".wideband-x-y-z", "model"]
    for name in kept + [".wideband-\(dead)-session-1", ".wideband-\(getpid())-earlier-2"] {
      try AtomicFile.write(Data(), to: folder.url(name))
    }
    try FileManager.default.createDirectory(
      at: folder.url(".wideband-\(dead)-session-3/inside"), withIntermediateDirectories: true)
    try AtomicFolder.sweep(in: folder.url)
    #expect(try folder.names() == kept.sorted())
  }

  @Test func sweep_restoresFolderThatWasMovedAside() throws {
    let dead = try deadProcess()
    for name in ["lost-one", "present"] {
      let aside = folder.url(".wideband-\(dead)-session-1-\(name)")
      try FileManager.default.createDirectory(at: aside, withIntermediateDirectories: false)
      try Data("old".utf8).write(to: aside.appending(path: "a"))
    }
    try AtomicFolder.write(to: folder.url("present"), replacing: true) {
      try Data("new".utf8).write(to: $0.appending(path: "a"))
    }
    try AtomicFolder.sweep(in: folder.url)
    #expect(try folder.names() == ["lost-one", "present"])
    #expect(try String(contentsOf: folder.url("lost-one/a"), encoding: .utf8) == "old")
    #expect(try String(contentsOf: folder.url("present/a"), encoding: .utf8) == "new")
  }

  @Test func sweep_missingFolder_isAnError() {
    let found = message { try AtomicFolder.sweep(in: folder.url("missing")) }
    #expect(found.hasPrefix("\(folder("missing")): cannot be listed: "))
  }

  /// The number of a process that has ended.
  private func deadProcess() throws -> Int32 {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", ":"]
    try process.run()
    process.waitUntilExit()
    return process.processIdentifier
  }
}
