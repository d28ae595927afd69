import ArgumentParser
import CheckedInput
import Checkpoint
import Decoding
import Foundation
import LanguageModel
import Torch

/// `wideband convert`: writes a model folder anew.
struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a model folder anew: in another type, in other shards, with its adapters fused.",
    discussion: """
      Reads a folder of Qwen3, Qwen3-MoE or a Wideband model, one that training saved included, and writes config.json, \
      the weights, and the tokenizer's files and generation_config.json as they are. A folder of a plain model opens \
      in transformers. Of a folder of LoRA adapters it makes the whole model, with what they add to its weights. \
      Quantised weights stay so without --dtype; with it, or with adapters, they become floats, though not those that \
      they were made of. The output must be a new folder or an empty one: nothing is replaced.

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
  @OptionGroup var folder: FolderOptions

  func run() throws {
    let target = ModelFolder(fileURL(output))
    try target.requireNew()
    let source = try SourceFolder(input, fusingAs: dtype?.dtype)
    var configuration = source.configuration
    let weights = source.weights
    // Floats are converted as they are written, whole numbers here.
    let isExpanded = configuration.quantization != nil && dtype != nil
    let tensors = isExpanded ? try withTorch { source.expanded(as: dtype?.dtype) } : source.tensors
    if isExpanded { configuration.quantization = nil }
    let form = configuration.quantization.map { "\($0)" } ?? (dtype?.dtype ?? source.dtype).map { "\($0)" } ?? "none"
    try target.write(
      configuration: configuration.json(dtype: dtype?.dtype ?? source.dtype), tensors: tensors, dtype: dtype?.dtype,
      extraFiles: source.otherFiles(), maximumShardBytes: folder.shardSize.bytes)
    try StandardOutput.line("\(printable(path: output)): \(weights.parameterCount) parameters in \(form)")
  }
}
