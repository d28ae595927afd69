import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband convert`: rewrites a model folder.
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Rewrite a model folder: in another type, in other shards, with its adapters fused.",
    discussion: """
      Reads a folder of Qwen3, Qwen3-MoE or a Wideband model, such as a checkpoint of training, and writes config.json, \
      the weights, and unchanged copies of the tokenizer's files and generation_config.json. A folder of a plain model \
      opens in transformers. LoRA adapters are fused into the weights of their base model. Quantized weights stay \
      quantized without --dtype; with it, or with adapters, they are dequantized, which does not restore the original \
      floats. The output must be a new or empty folder: nothing is replaced.

      EXAMPLES:
        wideband convert runs/plain/best models/plain --dtype bfloat16
        wideband convert Qwen3-4B models/qwen3-4b --shard-size 2GB
        wideband convert runs/lora/best models/tuned
      """)

  @Argument(help: ArgumentHelp("The folder to read.", valueName: "input"))
  var input: String
  @Argument(help: ArgumentHelp("The folder to write.", valueName: "output"))
  var output: String
  @Option(help: ArgumentHelp("The type of the weights; that of the input without it.", valueName: "type"))
  var dtype: WeightType?
  @Flag(help: "Turn a model that `widen` made, and that was not trained since, back into the plain one.")
  var narrow = false
  @OptionGroup var folder: FolderOptions

  func run() throws {
    let target = ModelFolder(fileURL(output))
    try target.requireNew()
    let source = try SourceFolder(input, fusingAs: dtype?.dtype)
    var configuration = source.configuration
    let weights = source.weights
    // Floats are converted while they are written, quantized values here.
    let isDequantized = configuration.quantization != nil && dtype != nil
    var tensors = try isDequantized ? weights.fused(as: dtype?.dtype) : source.tensors
    if isDequantized { configuration.quantization = nil }
    if narrow {
      do {
        let narrowing = try Narrowing(configuration)
        let removed = try narrowing.namesToRemove(tensors)
        (configuration, tensors) = (narrowing.configuration, tensors.filter { !removed.contains($0.name) })
      } catch let error as ConfigurationError { throw CommandError("\(printable(path: input)): \(error)") }
    }
    let type = configuration.quantization.map { "\($0)" } ?? (dtype?.dtype ?? source.dtype).map { "\($0)" } ?? "none"
    try target.write(
      configuration: configuration.json(dtype: dtype?.dtype ?? source.dtype), tensors: tensors, dtype: dtype?.dtype,
      extraFiles: source.otherFiles(), maximumShardBytes: folder.shardSize.bytes)
    let count = narrow ? tensors.reduce(0) { $0 + $1.tensor.count } : weights.parameterCount
    try StandardOutput.line("\(printable(path: output)): \(count) parameters in \(type)")
  }
}
