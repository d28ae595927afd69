import ArgumentParser
import Decoding
import Foundation
import LanguageModel
import Torch
import Training

/// `wideband evaluate`: measures a model on held-out text.
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure a model's losses and bits per byte on held-out text.",
    discussion: """
      EXAMPLES:
        wideband evaluate --model runs/wide/best --data data/tokens
        wideband evaluate --model runs/wide/best --data data/tokens --json
      """)

  @Option(help: ArgumentHelp("The model's folder.", valueName: "folder"))
  var model: String
  @Option(help: ArgumentHelp("The folder that `data prepare` made.", valueName: "folder"))
  var data: String
  @Option(help: ArgumentHelp("Tokens of a row.", valueName: "number"))
  var length = 256
  @Option(help: ArgumentHelp("Rows at once.", valueName: "number"))
  var rows = 8
  @Option(help: ArgumentHelp("The most tokens to look at; all without it.", valueName: "number"))
  var tokens: Int?
  @Flag(help: "Print one line of JSON.")
  var json = false
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    for (name, value) in [("--length", length - 1), ("--rows", rows), ("--tokens", tokens ?? 1)] where value < 1 {
      throw ValidationError("\(name) is too small: expected at least \(name == "--length" ? 2 : 1)")
    }
  }

  func run() throws {
    try machine.apply {
      let device = try Device(machine.device)
      let dataset = try TokenDataset(folder: data, split: .validation)
      let loaded = try LoadedModel(URL(filePath: model), on: device, dtype: .float32)
      try dataset.check(
        fingerprint: loaded.tokenizer.fingerprint, vocabularySize: loaded.model.configuration.vocabularySize)
      let batches = try dataset.validationBatches(
        rows: rows, length: length, limit: tokens ?? .max)
      let evaluation = try Evaluation(
        loaded.model, on: batches.lazy.map { $0.to(device) },
        byteLengths: dataset.byteLengths.to(device))
      print(json ? try Self.line(evaluation) : Self.text(evaluation))
    }
  }

  private static func line(_ evaluation: Evaluation) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode(evaluation), as: UTF8.self)
  }

  private static func text(_ evaluation: Evaluation) -> String {
    var lines = [
      "next-token loss  \(String(format: "%.4f", evaluation.nextTokenLoss)) nats",
      "bits per byte    \(String(format: "%.4f", evaluation.bitsPerByte))",
    ]
    for (k, loss) in evaluation.deeperLosses.enumerated() {
      lines.append("next-\(k + 2)-token   \(String(format: "%.4f", loss)) nats")
    }
    return (lines + ["tokens           \(evaluation.tokenCount)"]).joined(separator: "\n")
  }
}
