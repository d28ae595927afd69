#if os(Linux)
  import Foundation
  import Testing

  struct HugePagesTests {
    private static let isPossible =
      sysconf(Int32(_SC_PAGESIZE)) == 4096
      && FileManager.default.fileExists(atPath: "/sys/kernel/mm/transparent_hugepage")

    @Test(.enabled(if: isPossible)) func heap_usesHugePages() throws {
      let running = try Executable.start(
        "bench", "step", "--config", Workspace.shared().model + "/config.json", "--steps", "1000000")
      defer {
        kill(running.process.processIdentifier, SIGKILL)
        running.process.waitUntilExit()
      }
      let deadline = ContinuousClock.now + .seconds(60)
      var asks = false
      while !asks && running.process.isRunning && ContinuousClock.now < deadline {
        asks = heapAsks(running.process.processIdentifier)
        usleep(20_000)
      }
      #expect(asks)
    }

    /// Whether a part of a process's heap has the flag for huge pages.
    private func heapAsks(_ process: Int32) -> Bool {
      guard let file = FileHandle(forReadingAtPath: "/proc/\(process)/smaps"), let data = try? file.readToEnd() else {
        return false
      }
      // The flags are the last line of a mapping's description, so the lines before them belong to the same mapping.
      let pieces = String(decoding: data, as: UTF8.self).components(separatedBy: "VmFlags:")
      return zip(pieces, pieces.dropFirst()).contains { piece, next in
        piece.contains("[heap]") && next.prefix { $0 != "\n" }.contains(" hg ")
      }
    }
  }
#endif
