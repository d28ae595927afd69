import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

extension BenchCommand {
  /// `wideband bench decode`.
  struct Decode: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Time prefill and decoding, and compare them with the bounds of memory and arithmetic.",
      discussion: """
        Prompts are random tokens; decoding is greedy and ignores end-of-text tokens. The model is that of a folder, \
        which needs no tokenizer, or has random weights. The bytes of a token are those of the weights that it reads; \
        they are compared with the bandwidth at which all threads read an array far larger than the caches, measured \
        before and after each run. Peak memory is that of the runs, including weights in mapped files. In a batch, \
        cycles are aligned unless --unaligned is given.

        EXAMPLES:
          wideband bench decode --config configs/qwen3-0.6b.json
          wideband bench decode --config configs/qwen3-0.6b.json --quantize int4 --prompt 1024
          wideband bench decode --model models/random-0.6b --cycle 4 --decoding-layers 8 --json
        """)

    @Option(help: ArgumentHelp("The model's folder.", valueName: "folder"))
    var model: String?
    @Option(help: ArgumentHelp("A config.json, for random weights.", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("Tokens of a prompt.", valueName: "number"))
    var prompt = 128
    @Option(help: ArgumentHelp("Tokens to decode after the first.", valueName: "number"))
    var tokens = 128
    @OptionGroup var decoding: DecodingOptions
    @Option(help: ArgumentHelp("Sequences that are decoded together.", valueName: "number"))
    var batch = 1
    @Flag(help: "Start the cycles of the sequences at different steps.")
    var unaligned = false
    @Option(help: ArgumentHelp("Timed runs; medians are reported.", valueName: "number"))
    var runs = 3
    @Option(help: ArgumentHelp("The seed of prompts and random weights.", valueName: "number"))
    var seed: UInt64 = 0
    @Flag(help: "Print one line of JSON.")
    var json = false
    @OptionGroup var machine: MachineOptions

    func validate() throws {
      if (model == nil) == (config == nil) {
        throw ValidationError("--model and --config are \(model == nil ? "both missing" : "both given"): expected one")
      }
      try requireFlag("--prompt", prompt, in: Limits.tokens)
      try requireFlag("--tokens", tokens, in: Limits.tokens)
      try requireFlag("--batch", batch, in: Limits.rows)
      try requireFlag("--runs", runs, in: Limits.repetitions)
      try BenchCommand.requireTokens([("--batch", batch), ("--prompt", prompt)])
      try BenchCommand.requireTokens([("--batch", batch), ("--tokens", tokens)])
      if unaligned, batch < 2 {
        throw ValidationError("--unaligned is given with a batch of \(batch): expected at least 2")
      }
      if unaligned, decoding.cycle == nil {
        throw ValidationError("--unaligned is given without --cycle: expected both")
      }
    }

    func run() throws {
      try machine.apply {
        let device = try Device(machine.device)
        let benchmark = DecodeBenchmark(
          model: try loaded(on: device), prompt: prompt, tokens: tokens, cycle: decoding.cycle, sequences: batch,
          isStaggered: unaligned, seed: seed, cacheFormat: decoding.keyValueCache)
        let peak = try ArithmeticPeak.measure(on: device, dtype: device.computeDType)
        let measured = try benchmark.run(times: runs) { try bandwidth(on: device) }
        let report = try DecodeReport(
          benchmark, measured.times, on: .init(productPeak: peak, threads: Machine.threadCount),
          weights: benchmark.weightType, peakBytes: device.kind == .cpu ? measured.peakBytes : device.peakBytes)
        try json ? StandardOutput.line(json: report) : StandardOutput.line(report.text)
      }
    }

    private func bandwidth(on device: Device) throws -> Double {
      let found = try MemoryPeak.measureReading(on: device)
      guard found > 0 else { throw CommandError("no memory is left to measure its speed: expected 1.4 GB") }
      return found
    }

    private func loaded(on device: Device) throws -> LanguageModel {
      let loaded = try weighted(on: device)
      let length = loaded.configuration.contextLength
      guard prompt <= length, tokens <= length - prompt else {
        throw CommandError(
          "--prompt is \(prompt) and --tokens \(tokens): expected together at most the \(length) tokens of the model's "
            + "context (max_position_embeddings)")
      }
      return loaded
    }

    private func weighted(on device: Device) throws -> LanguageModel {
      if let model {
        return try LoadedModel.model(
          fileURL(model), on: device, dtype: decoding.dtype?.dtype, quantizing: decoding.quantize
        ) {
          try decoding.split.apply(to: &$0, of: "\(model)/config.json", cycle: decoding.cycle)
        }
      }
      let file = config ?? ""
      var configuration = try ModelConfiguration(file: fileURL(file))
      try decoding.split.apply(to: &configuration, of: file, cycle: decoding.cycle)
      let scheme = decoding.quantize ?? configuration.quantization
      configuration.quantization = scheme
      let type = decoding.dtype?.dtype ?? (scheme == nil ? .bfloat16 : device.computeDType)
      let weights = WeightStore(seed: seed, dtype: type, on: device, quantizing: scheme)
      do {
        return try LanguageModel(configuration, weights: weights, computingIn: device.activations(for: type))
      } catch let error as ConfigurationError { throw CommandError("\(file): \(error)") }
    }
  }
}

extension DecodeBenchmark {
  /// The quantization scheme of the weights, or the type of the embedding if they are not quantized.
  fileprivate var weightType: String {
    model.configuration.quantization.map { "\($0)" }
      ?? model.weights.tensors["model.embed_tokens.weight"].map { "\($0.dtype)" } ?? ""
  }
}
