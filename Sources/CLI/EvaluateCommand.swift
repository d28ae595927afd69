import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband evaluate`: measures a model on held-out text.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measure a model's losses and bits per byte on held-out text.",
    discussion: """
      With --cycle the model is decoded directly: prints the bits per byte of each cycle length and of each phase, on \
      the second half of every row, and their ratio to the untuned model's.

      EXAMPLES:
        wideband evaluate --model runs/wide/best --data data/tokens
        wideband evaluate --model runs/wide/best --data data/tokens --json
        wideband evaluate --model runs/wide/best --data data/tokens --quantize int4
        wideband evaluate --model runs/direct/best --data data/tokens --cycle 1,2,3,4,6 --untuned runs/wide/best
      """)

  @Option(help: ArgumentHelp("The model's folder.", valueName: "folder"))
  var model: String
  @Option(help: ArgumentHelp("The folder of `data prepare`.", valueName: "folder"))
  var data: String
  @Option(help: ArgumentHelp("Tokens of a row; by default 256, or the model's context if less.", valueName: "number"))
  var length: Int?
  @Option(help: ArgumentHelp("Rows of a batch.", valueName: "number"))
  var rows = 8
  @Option(help: ArgumentHelp("Tokens to evaluate, rounded up to whole rows; all by default.", valueName: "number"))
  var tokens: Int?
  @Option(help: ArgumentHelp("Decode directly, with each of these cycle lengths.", valueName: "numbers"))
  var cycle: String?
  @Option(help: ArgumentHelp("The folder of the model before tuning.", valueName: "folder"))
  var untuned: String?
  @OptionGroup var split: SplitOptions
  @Option(help: ArgumentHelp("Quantize the weights as they are loaded.", valueName: "scheme"))
  var quantize: QuantizationScheme?
  @Flag(help: "Print one line of JSON.")
  var json = false
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try requireFlag("--length", length, in: 2...Limits.tokens.upperBound)
    try requireFlag("--rows", rows, in: Limits.rows)
    try requireFlag("--tokens", tokens, in: Limits.totalTokens)
  }

  func run() throws {
    try machine.apply {
      let device = try Device(machine.device)
      let dataset = try TokenDataset(folder: data, split: .validation)
      let cycles = try cycleLengths()
      if untuned != nil, cycles == nil { throw CommandError("--untuned is given without --cycle: expected both") }
      let loaded = try load(model, dataset, on: device, quantizing: quantize) {
        try split.apply(to: &$0, of: "\(model)/config.json", cycle: cycles?.max())
      }
      let context = loaded.configuration.contextLength
      if let length, length > context {
        throw CommandError(
          "--length is \(length): expected at most \(context), what the model's context holds (max_position_embeddings)"
        )
      }
      let length = length ?? min(256, context)
      guard Limits.batchTokens.contains(rows * length) else {
        throw CommandError(
          "--rows is \(rows): expected at most \(Limits.batchTokens.upperBound) tokens at once, in rows of \(length)")
      }
      let batches = try dataset.validationBatches(rows: rows, length: length, limit: tokens ?? .max)
      let moved = batches.lazy.map { $0.to(device) }
      let byteLengths = dataset.byteLengths.to(device)
      if let cycles {
        let reference = try untuned.map { try load($0, dataset, on: device) }
        let evaluation = try named(loaded) {
          try DirectEvaluation(loaded, cycles: cycles, untuned: reference, on: moved, byteLengths: byteLengths)
        }
        try json ? StandardOutput.line(json: evaluation) : StandardOutput.line(Self.text(evaluation))
      } else {
        let evaluation = try named(loaded) { try Evaluation(loaded, on: moved, byteLengths: byteLengths) }
        try json ? StandardOutput.line(json: evaluation) : StandardOutput.line(Self.text(evaluation))
      }
    }
  }

  /// Runs an evaluation; if its result is not finite, the error names a weight that is not finite, if there is one.
  private func named<Result>(_ loaded: LanguageModel, _ measure: () throws -> Result) throws -> Result {
    do { return try measure() } catch let error as NotFiniteError {
      try loaded.requireFiniteWeights(in: model)
      throw CommandError("\(printable(model)): \(error)")
    }
  }

  private func load(
    _ folder: String, _ dataset: TokenDataset, on device: Device, quantizing scheme: QuantizationScheme? = nil,
    adjusting: (inout ModelConfiguration) throws -> Void = { _ in }
  ) throws -> LanguageModel {
    let loaded = try LoadedModel(
      fileURL(folder), on: device, dtype: .float32, quantizing: scheme, adjusting: adjusting)
    try dataset.check(
      fingerprint: loaded.tokenizer.fingerprint, vocabularySize: loaded.model.configuration.vocabularySize)
    try dataset.check(byteLengths: loaded.tokenizer.byteLengths)
    return loaded.model
  }

  /// The lengths in `--cycle`.
  private func cycleLengths() throws -> [Int]? {
    guard let cycle else { return nil }
    return try cycle.split(separator: ",", omittingEmptySubsequences: false).map { text in
      guard let length = Int(text), Limits.cycle.contains(length) else {
        throw CommandError("--cycle is \(cycle): expected numbers \(describe(Limits.cycle)) with commas between them")
      }
      return length
    }
  }

  private static func text(_ evaluation: DirectEvaluation) -> String {
    func row(_ columns: String...) -> String {
      columns.prefix(5).map { String(repeating: " ", count: max(0, 14 - $0.count)) + $0 }.joined()
        + columns.dropFirst(5).map { "   " + $0 }.joined()
    }
    func number(_ value: Double) -> String { decimal(value, 4) }
    func percent(_ value: Double?) -> String { value.map { String(format: "%.2f %%", 100 * $0) } ?? "-" }
    var lines = [row("cycle", "bits per byte", "retention", "accuracy", "retention", "bits per byte by phase")]
    if let untuned = evaluation.untuned {
      lines.append(row("untuned", number(untuned.bitsPerByte), "-", percent(untuned.accuracy), "-"))
    }
    for cycle in evaluation.cycles {
      lines.append(
        row(
          "\(cycle.cycle)", number(cycle.mean.bitsPerByte), percent(cycle.retention), percent(cycle.mean.accuracy),
          percent(cycle.accuracyRetention), cycle.phases.map { number($0.bitsPerByte) }.joined(separator: " ")))
    }
    lines.append("\(evaluation.tokenCount) tokens, each of them at every phase")
    return lines.joined(separator: "\n")
  }

  private static func text(_ evaluation: Evaluation) -> String {
    var lines = [
      "next-token loss  \(decimal(evaluation.nextTokenLoss, 4)) nats",
      "bits per byte    \(decimal(evaluation.bitsPerByte, 4))",
    ]
    for (k, loss) in evaluation.mtpLosses.enumerated() {
      lines.append("next-\(k + 2)-token   \(decimal(loss, 4)) nats")
    }
    return (lines + ["tokens           \(evaluation.tokenCount)"]).joined(separator: "\n")
  }
}
