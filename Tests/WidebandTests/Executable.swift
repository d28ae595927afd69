import Foundation
import Testing

/// The command `wideband` as a process of its own, the way people run it.
struct Executable {
  /// What a finished process left.
  struct Result {
    /// The exit status, or minus the number of the signal that ended it.
    let status: Int32
    let output: String
    let errors: String
  }

  /// A process that may still be at work. Its output goes to files, so that nothing has to be read while it works.
  final class Running {
    let process = Process()
    private let folder: TemporaryFolder

    /// - Parameter pipe: where standard input comes from; nil for a file of `input`.
    fileprivate init(
      _ executable: URL, _ arguments: [String], _ input: String, in current: URL?, from pipe: Pipe? = nil
    ) throws {
      folder = try TemporaryFolder()
      try folder.write("input", input)
      process.executableURL = executable
      process.arguments = arguments
      process.currentDirectoryURL = current ?? folder.url
      // Tiny models gain nothing from a second thread, and tests run side by side.
      process.environment = ProcessInfo.processInfo.environment.merging(["OMP_NUM_THREADS": "1"]) { $1 }
      process.standardInput = try pipe ?? FileHandle(forReadingFrom: folder("input"))
      process.standardOutput = try file("output")
      process.standardError = try file("errors")
      try process.run()
    }

    /// Waits for the end.
    func wait() throws -> Result {
      process.waitUntilExit()
      let isSignal = process.terminationReason == .uncaughtSignal
      return Result(
        status: isSignal ? -process.terminationStatus : process.terminationStatus,
        output: try folder.read("output"), errors: try folder.read("errors"))
    }

    /// Bytes on standard output so far.
    var outputSize: Int { (try? Data(contentsOf: folder("output")).count) ?? 0 }

    private func file(_ name: String) throws -> FileHandle {
      try folder.write(name, "")
      return try FileHandle(forWritingTo: folder(name))
    }
  }

  /// The built command, which lies beside the tests.
  static let url: URL = {
    let bundles = Bundle.allBundles.filter { $0.bundlePath.hasSuffix(".xctest") }.map(\.bundleURL)
    let candidates = bundles + [URL(filePath: CommandLine.arguments[0]), Bundle.main.bundleURL.appending(path: "x")]
    let files = candidates.map { $0.deletingLastPathComponent().appending(path: "wideband") }
    return files.first { FileManager.default.isExecutableFile(atPath: $0.path) } ?? files[0]
  }()

  /// Starts `wideband` with some arguments.
  static func start(_ arguments: String..., input: String = "", in folder: URL? = nil) throws -> Running {
    try start(arguments, input: input, in: folder)
  }

  /// Starts `wideband` with some arguments.
  static func start(_ arguments: [String], input: String = "", in folder: URL? = nil) throws -> Running {
    try Running(url, arguments, input, in: folder)
  }

  /// Starts `wideband` with a standard input that stays open.
  static func start(_ arguments: String..., from pipe: Pipe) throws -> Running {
    try Running(url, arguments, "", in: nil, from: pipe)
  }

  /// Runs `wideband` to its end.
  static func run(_ arguments: String..., input: String = "", in folder: URL? = nil) throws -> Result {
    try run(arguments, input: input, in: folder)
  }

  /// Runs `wideband` to its end.
  static func run(_ arguments: [String], input: String = "", in folder: URL? = nil) throws -> Result {
    try Running(url, arguments, input, in: folder).wait()
  }

  /// Runs `wideband` within a line of the shell, in which `$w` is the command with its arguments.
  static func run(shell line: String, _ arguments: [String], in folder: URL? = nil) throws -> Result {
    let script = line.replacingOccurrences(of: "$w", with: "\"$0\" \"$@\"")
    return try Running(URL(filePath: "/bin/sh"), ["-c", script, url.path] + arguments, "", in: folder).wait()
  }

  /// Runs `wideband` where no file can grow beyond some blocks of 512 bytes, which is what a full disk looks like.
  static func run(blocks: Int, _ arguments: String..., in folder: URL? = nil) throws -> Result {
    let script = "trap '' XFSZ; ulimit -f \(blocks); exec \"$0\" \"$@\""
    return try Running(URL(filePath: "/bin/sh"), ["-c", script, url.path] + arguments, "", in: folder).wait()
  }
}

/// Holds a failed command to its exit status and the one sentence on standard error.
func expectError(
  _ result: Executable.Result, _ sentence: String, status: Int32 = 1, at location: SourceLocation = #_sourceLocation
) {
  #expect(result.status == status, sourceLocation: location)
  #expect(result.output == "", sourceLocation: location)
  let lines = result.errors.split(separator: "\n")
  let sentences = status == 64 ? Array(lines.prefix(1)) : lines.filter { !$0.contains("%  ") }
  #expect(sentences == ["Error: \(sentence)"], sourceLocation: location)
}

/// A folder of its own for one test, deleted with it.
final class TemporaryFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.standardizedFileURL.appending(path: "wideband-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func callAsFunction(_ name: String) -> URL { url.appending(path: name) }

  @discardableResult
  func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> URL {
    try Data(bytes).write(to: self(name))
    return self(name)
  }

  @discardableResult
  func write(_ name: String, _ text: String) throws -> URL { try write(name, text.utf8) }

  func read(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: self(name)), as: UTF8.self)
  }

  /// Bytes of a file; 0 where there is none.
  func size(of name: String) throws -> Int { exists(name) ? try Data(contentsOf: self(name)).count : 0 }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: self(name).path) }
}
