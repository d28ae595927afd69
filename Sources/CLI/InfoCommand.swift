import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband info`: shows the shape and cost of a model, or the machine's capabilities.
struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract:
      "Show a model's shape, parameters, and operations and bytes per token; or the machine's capabilities.",
    discussion: """
      EXAMPLES:
        wideband info runs/wide/best
        wideband info configs/quickstart-wide.yaml --set model.virtual_width.slots=16
        wideband info --machine
      """)

  @Argument(help: ArgumentHelp("A model folder, a config.json, or a recipe.", valueName: "path"))
  var path: String?
  @Flag(help: "Show this machine's vector instructions, matrix library, threads, memory and devices instead.")
  var machine = false
  @Option(help: ArgumentHelp("Change a key of a recipe; may be given several times.", valueName: "key.path=value"))
  var set: [String] = []
  @Option(help: ArgumentHelp("Tokens of context for the cost of attention; by default the model's context."))
  var length: Int?

  func validate() throws {
    try requireFlag("--length", length, in: Limits.tokens)
    switch path {
    case nil where !machine: throw ValidationError("expected a model folder, a config.json or a recipe, or --machine")
    case .some where machine: throw ValidationError("--machine is for this machine: expected no path with it")
    default: break
    }
  }

  func run() throws {
    guard let path else { return try StandardOutput.line(MachineReport().text) }
    let configuration = try loadConfiguration(path)
    let context = length ?? configuration.contextLength
    try StandardOutput.line(
      Self.report(
        configuration, ModelCost(configuration, contextLength: context), context, storage: storage(configuration, path))
    )
  }

  private func loadConfiguration(_ path: String) throws -> ModelConfiguration {
    let name = printable(path: path)
    // A path that may not be accessed is an error with a reason when it is read.
    guard access(path, F_OK) == 0 || errno == EACCES else {
      throw CommandError("\(name): there is no such file or folder")
    }
    let configuration: ModelConfiguration
    if path.hasSuffix(".yaml") || path.hasSuffix(".yml") {
      let yaml = try Recipe.text(of: path)
      // A recipe's vocabulary size is the tokenizer's; without one, that of the quickstart is assumed.
      configuration = try Recipe(yaml: yaml, name: path, changes: set, vocabularySize: 4096).model
    } else {
      if let change = set.first {
        throw CommandError("--set is \(quoted(change)): expected none, as \(name) is not a recipe")
      }
      let url = fileURL(path)
      configuration = try isFolder(path) ? ModelConfiguration(ModelFolder(url)) : ModelConfiguration(file: url)
    }
    do { try configuration.validate() } catch { throw CommandError("\(name): \(error)") }
    return configuration
  }

  /// The lines on the size of a model folder's weights and on its adapters, if any.
  private func storage(_ configuration: ModelConfiguration, _ path: String) throws -> [String] {
    let stored = try ModelSource(ModelFolder(fileURL(path)))
    guard stored.base.hasWeights else { return [] }
    let tensors = try stored.tensors(configuration)
    let bytes = tensors.values.reduce(0) { $0 + $1.count * $1.dtype.size }
    let weights = "weights        \(String(format: "%.3f", Double(bytes) / 1e6)) MB"
    guard let adapter = stored.adapter else { return [weights] }
    return [
      weights,
      "adapters       rank \(adapter.rank), alpha \(adapter.alpha), for \(printable(path: stored.base.url.path))",
    ]
  }

  /// The whole report as aligned text.
  static func report(_ model: ModelConfiguration, _ cost: ModelCost, _ context: Int, storage: [String] = []) -> String {
    var lines = shape(of: model) + storage
    lines.append("")
    lines.append(row("", "parameters", "MFLOP/token", "share", "MB/token"))
    for part in cost.parts {
      lines.append(
        row(
          part.name, "\(part.parameters)", String(format: "%.3f", part.operations / 1e6),
          String(format: "%.1f%%", 100 * part.operations / cost.operations),
          String(format: "%.3f", part.bytes / 1e6)))
    }
    let bytes = cost.parts.reduce(0) { $0 + $1.bytes / 1e6 }
    lines.append(
      row(
        "total", "\(cost.parameters)", String(format: "%.3f", cost.operations / 1e6), "100.0%",
        String(format: "%.3f", bytes)))
    lines.append("")
    let form = model.quantization.map { "with matrices in \($0)" } ?? "float32; a training step costs three"
    lines.append("Forward pass at \(context) tokens of context, \(form).")
    lines.append("Bytes are a single token's: its weights once, and the states that connections read and write.")
    return lines.joined(separator: "\n")
  }

  private static func shape(of model: ModelConfiguration) -> [String] {
    var lines = [
      "model type     \(model.modelType)",
      "backbone       \(model.layerCount) layers, D = \(model.hiddenSize), \(model.headCount) heads of \(model.headSize) "
        + "(\(model.keyValueHeadCount) key/value), vocabulary \(model.vocabularySize), context \(model.contextLength)",
    ]
    if let experts = model.experts {
      lines.append("experts        \(experts.perToken) of \(experts.count), \(experts.intermediateSize) channels each")
    } else {
      lines.append("feed-forward   \(model.intermediateSize) channels")
    }
    if let width = model.virtualWidth {
      let D = model.hiddenSize
      lines.append(
        "virtual width  r = \(String(format: "%.4g", width.factor)): \(width.slots) slots of "
          + "\(width.slotWidth(hiddenSize: D)) channels, \(width.width(hiddenSize: D)) in all, fraction rate "
          + "\(width.fractionRate), \(width.connections.rawValue) connections, \(width.embedding.rawValue) embedding")
    }
    if let prediction = model.multiTokenPrediction {
      lines.append("prediction     \(prediction.depth) further tokens, weight \(prediction.lossWeight)")
    }
    if let scheme = model.quantization {
      lines.append(
        "quantized      \(scheme), groups of \(QuantizationScheme.groupSize), \(scheme.bytesPerWeight) bytes a weight")
    }
    if let split = model.directDecoding {
      let (E, D) = (split.encodingLayers, split.decodingLayers)
      lines.append(
        "direct         \(E) encoding, \(model.layerCount - E - D) thinking and \(D) decoding layers, cycles of up to "
          + "\(split.cycle), gate \(split.gate.rawValue)")
    }
    return lines
  }

  private static func row(_ columns: String...) -> String {
    columns.enumerated().map { index, text in
      let padding = String(repeating: " ", count: max(0, (index == 0 ? 22 : 13) - text.count))
      return index == 0 ? text + padding : padding + text
    }.joined()
  }
}
