import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband verify`: compares models with a reference's outputs on the same weights.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check a model's outputs and gradients against expected ones.",
    discussion: """
      Each folder contains config.json, model.safetensors, and expected.safetensors with tokens and logits, and \
      optionally losses, gradients, outputs of direct decoding and greedy continuations. Computes in float32 and prints \
      relative errors: the norm of the difference over the norm of the expected value. The exit status is 1 if any \
      folder does not pass.

      EXAMPLE:
        wideband verify Tests/Fixtures/models/*
      """)

  @Argument(help: ArgumentHelp("Model folders with expected outputs.", valueName: "folder"))
  var folders: [String]
  @Option(help: ArgumentHelp("The device: cpu, cuda, cuda:N or mps.", valueName: "device"))
  var device = "cpu"
  @Option(help: "Fused kernels where they exist, or composed operators, their reference.")
  var kernels = Kernels.fused

  func run() throws {
    try Kernels.$selected.withValue(kernels, operation: verify)
  }

  private func verify() throws {
    let device = try Device(device)
    var failures = 0
    for folder in folders {
      do {
        let verification = try Verification(fileURL(folder), on: device)
        try StandardOutput.line(Self.report(verification, of: folder) + "\n")
        if !verification.passes { failures += 1 }
      } catch {
        try StandardOutput.line("\(printable(path: folder))\n  \(Failure.sentence(error))\n  FAIL\n")
        failures += 1
      }
    }
    try StandardOutput.line("\(folders.count - failures) of \(folders.count) folders pass")
    if failures > 0 { throw ExitCode.failure }
  }

  /// A table of the comparisons, with the folder as heading and PASS or FAIL at the end.
  static func report(_ verification: Verification, of folder: String) -> String {
    var lines = verification.outputs.map { line($0.name, $0) }
    if let worst = verification.worstGradient {
      let count = verification.gradients.count
      lines.append(line("gradients", worst, note: "worst of \(count): \(printable(worst.name))"))
    }
    for greedy in verification.greedy {
      let outcome = greedy.firstDifference.map { "differ from token \($0 + 1)" } ?? "agree"
      let isPassed = greedy.firstDifference == nil
      let name = greedy.cycle.map { "greedy, cycle \($0)" } ?? "greedy"
      lines.append(row(name, "\(greedy.count) tokens \(outcome)", isPassed ? "ok" : "WRONG"))
    }
    return ([printable(path: folder)] + lines + ["  \(verification.passes ? "PASS" : "FAIL")"]).joined(separator: "\n")
  }

  private static func line(_ name: String, _ measurement: Verification.Measurement, note: String = "") -> String {
    let error = String(format: "%.1e of at most %.0e", measurement.error, measurement.tolerance)
    return row(name, error, measurement.passes ? "ok" : "WRONG", note: note)
  }

  private static func row(_ name: String, _ value: String, _ outcome: String, note: String = "") -> String {
    func padded(_ text: String, _ width: Int) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }
    let columns = "  \(padded(name, 22)) \(padded(value, 26)) \(outcome)"
    return note.isEmpty ? columns : "\(padded(columns, 58)) \(note)"
  }
}
