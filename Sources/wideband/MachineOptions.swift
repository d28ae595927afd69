import ArgumentParser
import Torch

/// Where and how a command computes.
struct MachineOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Where to compute: cpu, cuda, cuda:N or mps.", valueName: "device"))
  var device = "cpu"
  @Option(help: ArgumentHelp("Threads on the processor; all cores without it.", valueName: "number"))
  var threads: Int?
  @Option(help: "Fused kernels where there are some, or composed operators, their reference.")
  var kernels = Kernels.fused

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads is \(threads): expected 1 to 1024")
    }
  }

  /// Runs `body` as the options say.
  func apply<Result>(_ body: () throws -> Result) throws -> Result {
    if let threads { Machine.threadCount = threads }
    return try Kernels.$selected.withValue(kernels, operation: body)
  }
}

extension Kernels: ExpressibleByArgument {}
