import ArgumentParser
import CheckedInput
import Decoding
import Foundation
import LanguageModel
import Torch
import Training

extension BenchCommand {
  /// `wideband bench decode`.
  struct Decode: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Time reading a prompt and decoding behind it, beside what memory and arithmetic allow.",
      discussion: """
        Prompts are random tokens, decoding is greedy and does not end before its time. The model is a folder's, which \
        needs no tokenizer, or one of random weights. A token's bytes are those of the weights that it reads; before \
        and after the runs, all threads read an array far larger than the caches, and the faster of the two is what \
        that is held against. Peak memory is that of the runs, weights in mapped files included. With several texts \
        their cycles are aligned unless --unaligned is given.

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
    @Option(help: ArgumentHelp("Tokens to decode behind the first.", valueName: "number"))
    var tokens = 128
    @Option(help: ArgumentHelp("Decode directly, with this many tokens a cycle.", valueName: "number"))
    var cycle: Int?
    @OptionGroup var split: SplitOptions
    @Option(help: ArgumentHelp("Texts that are decoded together.", valueName: "number"))
    var batch = 1
    @Flag(help: "Let the cycles of texts begin at different steps.")
    var unaligned = false
    @Option(help: ArgumentHelp("Runs that are timed; medians are reported.", valueName: "number"))
    var runs = 3
    @Option(help: ArgumentHelp("What prompts and random weights are drawn from.", valueName: "number"))
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("The type of the weights; that of the file, bfloat16 for random weights."))
    var dtype: WeightType?
    @Option(
      help: ArgumentHelp(
        "How keys and values are kept; bfloat16 for weights of less than 32 bits without it.", valueName: "form"))
    var keyValueCache: KeyValueCache.Form?
    @Option(help: ArgumentHelp("Quantise the weights as they are loaded or made.", valueName: "scheme"))
    var quantize: QuantizationScheme?
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
      try requireFlag("--cycle", cycle, in: Limits.cycle)
      try BenchCommand.requireTokens([("--batch", batch), ("--prompt", prompt)])
      try BenchCommand.requireTokens([("--batch", batch), ("--tokens", tokens)])
      if unaligned, batch < 2 {
        throw ValidationError("--unaligned is given with a batch of \(batch): expected at least 2")
      }
      if unaligned, cycle == nil { throw ValidationError("--unaligned is given without --cycle: expected both") }
    }

    func run() throws {
      try machine.apply {
        let device = try Device(machine.device)
        let benchmark = DecodeBenchmark(
          model: try loaded(on: device), prompt: prompt, tokens: tokens, cycle: cycle, texts: batch,
          isStaggered: unaligned, seed: seed,
          keyValueForm: keyValueCache)
        let peak = try ArithmeticPeak.measure(on: device, dtype: device.computeDType)
        let measured = try benchmark.run(times: runs) { try bandwidth(on: device) }
        let report = try DecodeReport(
          benchmark, measured.times, on: .init(productPeak: peak, threads: Machine.threadCount),
          weights: benchmark.weightType, peakBytes: device.kind == .cpu ? measured.peakBytes : device.peakBytes)
        try StandardOutput.line(json ? line(report) : report.text)
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
        return try LoadedModel.model(fileURL(model), on: device, dtype: dtype?.dtype, quantizing: quantize) {
          try split.apply(to: &$0, of: "\(model)/config.json", cycle: cycle)
        }
      }
      let file = config ?? ""
      var configuration = try ModelConfiguration(file: fileURL(file))
      try split.apply(to: &configuration, of: file, cycle: cycle)
      let scheme = quantize ?? configuration.quantization
      configuration.quantization = scheme
      let type = dtype?.dtype ?? (scheme == nil ? .bfloat16 : device.computeDType)
      let weights = WeightStore(seed: seed, dtype: type, on: device, quantizing: scheme)
      do {
        return try LanguageModel(configuration, weights: weights, computingIn: device.activations(for: type))
      } catch let error
        as ConfigurationError
      { throw CommandError("\(file): \(error)") }
    }

    private func line(_ report: DecodeReport) throws -> String {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      return String(decoding: try encoder.encode(report), as: UTF8.self)
    }
  }
}

extension DecodeBenchmark {
  /// The form of the weights; the type of the embedding where they are not quantised.
  fileprivate var weightType: String {
    model.configuration.quantization.map { "\($0)" }
      ?? model.weights.tensors["model.embed_tokens.weight"].map { "\($0.dtype)" } ?? ""
  }
}
