import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

extension BenchCommand {
  /// `wideband bench connections`.
  struct Connections: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check the fused kernels of connections against composed operators, and time them.",
      discussion: """
        For each (m, n), the state after two connections and all gradients are compared with those of composed \
        operators in float32. Times are those of one connection in a long chain, where a write and the next read are \
        fused, and so are their derivatives; each is followed by its bandwidth as a percentage of a memory copy's. The \
        exit status is 1 if a result is wrong.

        EXAMPLE:
          wideband bench connections --device cuda --hidden-size 2048 --tokens 16384
        """)

    @Option(help: ArgumentHelp("Channels of the backbone.", valueName: "number"))
    var hiddenSize = 256
    @Option(help: ArgumentHelp("Tokens of a forward pass.", valueName: "number"))
    var tokens = 2048
    @Option(help: ArgumentHelp("Widths m:n, separated by commas.", valueName: "list"))
    var widths = "2:3,4:8,4:16,4:32,8:32,8:64"
    @Flag(help: "Print lines of JSON.")
    var json = false
    @OptionGroup var machine: MachineOptions

    func validate() throws {
      try requireFlag("--hidden-size", hiddenSize, in: Limits.channels)
      try requireFlag("--tokens", tokens, in: Limits.batchTokens)
      for width in try parsedWidths() where !hiddenSize.isMultiple(of: width.fractionRate) {
        throw ValidationError("--hidden-size is \(hiddenSize): expected a multiple of m = \(width.fractionRate)")
      }
    }

    func run() throws {
      try machine.apply {
        let device = try Device(machine.device)
        let dtype = device.kind == .cuda ? DType.bfloat16 : .float32
        let peak = try ArithmeticPeak.measure(on: device, dtype: dtype)
        let copy = try MemoryPeak.measure(on: device)
        try StandardOutput.line(
          json
            ? String(format: "{\"matmul_flops\": %.4g, \"copy_bytes_per_s\": %.4g}", peak, copy)
            : String(format: "large products %.1f TFLOP/s, copy %.1f GB/s (read and written)", peak / 1e12, copy / 1e9))
        var wrong = 0
        for width in try parsedWidths() {
          let bench = try ConnectionBenchmark(
            width, hiddenSize: hiddenSize, tokens: tokens, dtype: dtype, copyBandwidth: copy, on: device)
          let report = try bench.run()
          try StandardOutput.line(json ? report.json : report.text)
          if !report.isRight { wrong += 1 }
        }
        if wrong > 0 { throw ExitCode.failure }
      }
    }

    private func parsedWidths() throws -> [VirtualWidth] {
      try widths.split(separator: ",").map { text in
        let numbers = text.split(separator: ":").map { Int($0) }
        guard numbers.count == 2, let m = numbers[0], let n = numbers[1], m >= 1, n >= m, n <= 1024 else {
          throw ValidationError("--widths has '\(text)': expected m:n with 1 ≤ m ≤ n ≤ 1024, as in 4:16")
        }
        return VirtualWidth(fractionRate: m, slots: n)
      }
    }
  }
}
