import ArgumentParser
import Foundation
import Wideband

@testable import WidebandCLI

/// Command lines. They are parsed, and run in a sandbox if that is fast.
extension Targets {
  static func flags(_ workspace: Workspace) -> Target {
    Target(
      name: "flags",
      seeds: { FlagsMutation.lines.map { ["arguments": FlagsMutation.bytes($0)] } },
      mutate: { files, random in
        let line = FlagsMutation.arguments(files["arguments"] ?? [])
        return ["arguments": FlagsMutation.bytes(FlagsMutation.mutated(line, &random))]
      },
      read: { folder in
        let bytes = [UInt8](try Data(contentsOf: folder.appending(path: "arguments")))
        let sandbox = try Sandbox.shared(for: folder, of: workspace)
        try sandbox.enter { try run(FlagsMutation.arguments(bytes), in: sandbox) }
      })
  }

  private static func run(_ arguments: [String], in sandbox: Sandbox) throws {
    defer { _ = Machine.use(threads: 1) }
    var ranCommand: (any ParsableCommand)?
    let failure: (text: String, code: ExitCode)?
    do {
      var command = try CommandLineTool.parse(arguments)
      if Bound.allows(command) {
        ranCommand = command
        try command.run()
      }
      failure = nil
    } catch { failure = Failure.message(error) }
    let isRefused = failure.map { !$0.code.isSuccess } ?? false
    if let command = ranCommand { try sandbox.check(after: command, isRefused: isRefused) }
    guard isRefused, let text = failure?.text else { return }
    // The lines after the first are the parser's usage message.
    throw Refusal(description: text.split(separator: "\n").first.map(String.init) ?? "")
  }

  /// The error message of a refused command line.
  private struct Refusal: Error, CustomStringConvertible {
    let description: String
  }
}
