import ArgumentParser
import CheckedInput
import Torch

/// Where and how a command computes.
struct MachineOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where to compute: cpu, cuda, cuda:N or mps.", valueName: "device"))
  var device = "cpu"
  @Option(help: ArgumentHelp("Threads on the processor; without it as many as it may use cores.", valueName: "number"))
  var threads: Int?
  @Option(help: "Fused kernels where there are some, or composed operators, their reference.")
  var kernels = Kernels.fused

  func validate() throws {
    if let threads, !Limits.threads.contains(threads) {
      throw ValidationError(
        "--threads is \(threads): expected \(Limits.threads.lowerBound) to \(Limits.threads.upperBound)")
    }
  }

  /// Runs `body` as the options say.
  func apply<Result>(_ body: () throws -> Result) throws -> Result {
    let choice = threads.map { Machine.use(threads: $0) } ?? Machine.defaultThreads
    if case .most = choice.reason { StandardError.line("threads: \(choice)") }
    return try Kernels.$selected.withValue(kernels, operation: body)
  }
}

extension Kernels: ExpressibleByArgument {}
