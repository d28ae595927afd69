import Foundation
import TestSupport
import Testing

/// The command `wideband` as a process.
struct Executable {
  /// The result of a finished process.
  struct Result {
    /// The exit status, or the negated number of the signal that ended the process.
    let status: Int32
    let output: String
    let errors: String

    /// Expects the exit status 0.
    @discardableResult
    func succeeding(at location: SourceLocation = #_sourceLocation) -> Result {
      #expect(status == 0, "\(errors)", sourceLocation: location)
      return self
    }
  }

  /// A process that may still run. Its output goes to files, so that it need not be read meanwhile.
  final class Running {
    let process = Process()
    private let folder: TemporaryFolder

    /// - Parameter pipe: the standard input; nil for a file with `input`.
    fileprivate init(
      _ executable: URL, _ arguments: [String], _ input: String, in current: URL?, from pipe: Pipe? = nil
    ) throws {
      folder = try TemporaryFolder()
      try folder.write("input", text: input)
      process.executableURL = executable
      process.arguments = arguments
      process.currentDirectoryURL = current ?? folder.url
      // Tiny models do not benefit from more threads, and tests run concurrently.
      process.environment = ProcessInfo.processInfo.environment.merging(["OMP_NUM_THREADS": "1"]) { $1 }
      process.standardInput = try pipe ?? FileHandle(forReadingFrom: folder.url("input"))
      process.standardOutput = try file("output")
      process.standardError = try file("errors")
      try process.run()
    }

    /// Waits for the end of the process.
    func wait() throws -> Result {
      process.waitUntilExit()
      let isSignal = process.terminationReason == .uncaughtSignal
      return Result(
        status: isSignal ? -process.terminationStatus : process.terminationStatus,
        output: try folder.read("output"), errors: try folder.read("errors"))
    }

    /// The number of bytes on standard output so far.
    var outputSize: Int { (try? Data(contentsOf: folder.url("output")).count) ?? 0 }

    /// The text on standard error so far.
    var errors: String { (try? folder.read("errors")) ?? "" }

    private func file(_ name: String) throws -> FileHandle {
      try folder.write(name, text: "")
      return try FileHandle(forWritingTo: folder.url(name))
    }
  }

  /// The built command, in the same folder as the tests.
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

  /// Runs a shell command in which `$w` is `wideband` with its arguments.
  static func run(shell line: String, _ arguments: [String], in folder: URL? = nil) throws -> Result {
    try start(shell: line, arguments, in: folder).wait()
  }

  /// Starts a shell command in which `$w` is `wideband` with its arguments.
  static func start(shell line: String, _ arguments: [String], in folder: URL? = nil) throws -> Running {
    let script = line.replacingOccurrences(of: "$w", with: "\"$0\" \"$@\"")
    return try Running(URL(filePath: "/bin/sh"), ["-c", script, url.path] + arguments, "", in: folder)
  }

  /// Runs `wideband` with a limit on file sizes, in blocks of 512 bytes, which simulates a full disk.
  static func run(blocks: Int, _ arguments: String..., in folder: URL? = nil) throws -> Result {
    let script = "trap '' XFSZ; ulimit -f \(blocks); exec \"$0\" \"$@\""
    return try Running(URL(filePath: "/bin/sh"), ["-c", script, url.path] + arguments, "", in: folder).wait()
  }
}

extension TemporaryFolder {
  /// Runs `wideband` in this folder to its end.
  func run(_ arguments: String..., input: String = "") throws -> Executable.Result { try run(arguments, input: input) }

  /// Runs `wideband` in this folder to its end.
  func run(_ arguments: [String], input: String = "") throws -> Executable.Result {
    try Executable.run(arguments, input: input, in: url)
  }
}

/// Expects a failed command with an exit status and one sentence on standard error.
func expectError(
  _ result: Executable.Result, _ sentence: String, status: Int32 = 1, at location: SourceLocation = #_sourceLocation
) {
  #expect(result.status == status, sourceLocation: location)
  #expect(result.output == "", sourceLocation: location)
  let lines = result.errors.split(separator: "\n")
  let sentences = status == 64 ? Array(lines.prefix(1)) : lines.filter { !$0.contains("%  ") }
  #expect(sentences == ["Error: \(sentence)"], sourceLocation: location)
}
