import ArgumentParser
import Foundation
import Synchronization

@testable import WidebandCLI

/// A copy of the workspace with additional critical files, in which commands run. It is restored after each command.
final class Sandbox: Sendable {
  private let folder: URL
  private let workspace: Workspace
  private let before = Mutex<[String: Entry]>([:])
  private static let made = Mutex<Sandbox?>(nil)

  /// The attributes by which a changed file is detected.
  private struct Entry: Equatable {
    let kind: mode_t
    var size, node, seconds, nanoseconds: Int
  }

  /// The sandbox of this process, in the folder that contains the input.
  static func shared(for input: URL, of workspace: Workspace) throws -> Sandbox {
    try made.withLock { made in
      if let made { return made }
      let folder = input.deletingLastPathComponent().appending(path: "sandbox")
      let sandbox = Sandbox(folder, workspace)
      try sandbox.fill()
      made = sandbox
      return sandbox
    }
  }

  private init(_ folder: URL, _ workspace: Workspace) {
    self.folder = folder
    self.workspace = workspace
  }

  /// Runs `body` with the sandbox as the current folder, and restores the sandbox.
  func enter(_ body: () throws -> Void) throws {
    let manager = FileManager.default
    guard manager.changeCurrentDirectoryPath(folder.path) else { throw Fault("the sandbox is gone") }
    let result = Result(catching: body)
    if try entries() != before.withLock({ $0 }) { try fill() }
    try result.get()
  }

  /// Fails if a command changed files that it must not change.
  func check(after command: any ParsableCommand, isRefused: Bool) throws {
    let before = before.withLock { $0 }
    let after = try entries()
    // A run's lock file contains the number of the last process.
    let changed = Set(before.keys).union(after.keys).filter {
      before[$0] != after[$0] && !($0.hasSuffix("/.lock") && before[$0] != nil)
    }
    if let name = changed.first(where: { $0.contains(".wideband-") }) { throw Fault("a temporary file: \(name)") }
    // Only training deletes files: old checkpoints.
    if !(command is TrainCommand), let name = before.keys.first(where: { after[$0] == nil }) {
      throw Fault("\(name) is gone")
    }
    guard isRefused, !changed.isEmpty else { return }
    guard let train = command as? TrainCommand else {
      throw Fault("refused, but changed \(changed.sorted().prefix(3))")
    }
    // A run that has started and failed keeps its folder, so that it can be continued.
    let run = URL(filePath: train.output).standardizedFileURL
    let metrics = run.appending(path: "metrics.jsonl").path
    let hasBegun = ((try? FileManager.default.attributesOfItem(atPath: metrics)[.size]) as? Int ?? 0) > 0
    let name = String(run.path.dropFirst(folder.path.count + 1))
    guard hasBegun, changed.allSatisfy({ $0 == name || $0.hasPrefix(name + "/") }) else {
      throw Fault("refused, but changed \(changed.sorted().prefix(3))")
    }
  }

  private func fill() throws {
    let manager = FileManager.default
    try? manager.removeItem(at: folder)
    try manager.copyItem(at: workspace.folder.resolvingSymlinksInPath(), to: folder)
    try manager.createDirectory(at: folder.appending(path: "empty"), withIntermediateDirectories: true)
    for (name, target) in [("zero", "/dev/zero"), ("loop", "loop"), ("broken", "nothing")] {
      try manager.createSymbolicLink(atPath: folder.appending(path: name).path, withDestinationPath: target)
    }
    let texts = [
      "blank.txt": "", "batch.jsonl": "{\"text\": \"In the\"}\n{\"text\": \"\"}\n",
      "config.json": String(
        decoding: try Data(contentsOf: folder.appending(path: "plain/best/config.json")), as: UTF8.self),
    ]
    for (name, text) in texts { try Data(text.utf8).write(to: folder.appending(path: name)) }
    try manager.copyItem(
      at: Fixtures.folder.appending(path: "models/plain-tied"), to: folder.appending(path: "verified"))
    let entries = try entries()
    before.withLock { $0 = entries }
  }

  private func entries() throws -> [String: Entry] {
    var entries: [String: Entry] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
      var status = stat()
      guard lstat(folder.path + "/" + name, &status) == 0 else { continue }
      var entry = Entry(kind: status.st_mode, size: 0, node: 0, seconds: 0, nanoseconds: 0)
      // A folder's times change when a file in it is replaced by an identical one.
      if status.st_mode & S_IFMT != S_IFDIR {
        entry.size = Int(status.st_size)
        entry.node = Int(clamping: status.st_ino)
        entry.seconds = status.st_mtim.tv_sec
        entry.nanoseconds = status.st_mtim.tv_nsec
      }
      entries[name] = entry
    }
    return entries
  }
}
