import ArgumentParser
import Wideband
import WidebandCheckedInput

/// Options for the device, the threads and the kernels of a command.
struct MachineOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The device: cpu, cuda, cuda:N or mps.", valueName: "device"))
  var device = "cpu"
  @Option(help: ArgumentHelp("CPU threads; by default one for each available core.", valueName: "number"))
  var threads: Int?
  @Option(help: "Fused kernels where they exist, or composed operators, their reference.")
  var kernels = Kernels.fused

  func validate() throws {
    if let threads, !Limits.threads.contains(threads) {
      throw ValidationError(
        "--threads is \(threads): expected \(Limits.threads.lowerBound) to \(Limits.threads.upperBound)")
    }
  }

  /// Runs `body` with these options.
  func apply<Result>(_ body: () throws -> Result) throws -> Result {
    let choice = threads.map { Machine.use(threads: $0) } ?? Machine.defaultThreads
    if case .maximum = choice.reason { StandardError.line("threads: \(choice)") }
    return try Kernels.$selected.withValue(kernels, operation: body)
  }
}

extension Kernels: ExpressibleByArgument {}
