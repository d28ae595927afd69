import ArgumentParser
import Foundation
import Torch

@testable import WidebandCLI

/// Command lines, which are parsed, and run where that cannot take long, among files that they may read and spoil.
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
        let sandbox = try Sandbox.shared(beside: folder, of: workspace)
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
    // What follows the first line explains the usage, in the parser's words.
    throw Refusal(description: text.split(separator: "\n").first.map(String.init) ?? "")
  }

  /// What the command says when it refuses.
  private struct Refusal: Error, CustomStringConvertible {
    let description: String
  }
}
