import ArgumentParser
import Foundation
import Wideband

/// Times each CPU kernel alone.
@main
struct KernelBenchmark: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "KernelBenchmark",
    abstract: "Time each kernel on the processor alone, in float32; prints lines of JSON.",
    discussion: """
      The first line is what this machine can do: operations a second in large products, bytes a second, read and \
      written together, in copies, and bytes a second read. Then a line for each pass of each kernel: median seconds, operations and bytes. \
      `scripts/bench-kernels` compares this with PyTorch.

      EXAMPLE:
        swift run -c release --package-path Benchmarks KernelBenchmark --only connection
      """)

  @Option(help: ArgumentHelp("Time only the kernels whose name has this in it.", valueName: "text"))
  var only = ""

  private static let hiddenSize = 256
  private static let widths = [(2, 3), (4, 8), (4, 16), (4, 32), (8, 64)]

  func run() throws {
    Machine.prepare()
    print(
      String(
        format: "{\"matmul_flops\": %.4g, \"copy_bytes_per_s\": %.4g, \"read_bytes_per_s\": %.4g}",
        try ArithmeticPeak.measure(on: .cpu, dtype: .float32), try MemoryPeak.measure(on: .cpu),
        try MemoryPeak.measureReading(on: .cpu)))
    for (m, n) in Self.widths {
      let tasks = { try ConnectionTasks(m, n, hiddenSize: Self.hiddenSize, tokens: 2048) }
      try report("read") { try tasks().read }
      try report("write and read") { try tasks().writeAndRead }
      try report("connection") { try tasks().whole }
    }
    for tokens in [512, 1024, 4096, 8192, 16_384, 32_768] {
      try report("connection") { try ConnectionTasks(4, 16, hiddenSize: Self.hiddenSize, tokens: tokens).whole }
    }
    for (name, make) in LayerTasks.all + FlatTasks.all { try report(name, make) }
  }

  private func report(_ name: String, _ make: () throws -> KernelTask) throws {
    guard only.isEmpty || name.contains(only) else { return }
    let task = try make()
    for (cost, seconds) in zip(task.costs, try task.measure()) {
      let head = "\"kernel\": \"\(name)\", \"shape\": \"\(task.shape)\", \"tokens\": \(task.tokens)"
      let rest = String(
        format: "\"seconds\": %.4g, \"operations\": %.0f, \"bytes\": %.0f", seconds, cost.operations, cost.bytes)
      print("{\(head), \"pass\": \"\(cost.pass.rawValue)\", \(rest)}")
    }
  }
}
