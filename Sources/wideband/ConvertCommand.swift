import ArgumentParser
import Checkpoint
import Decoding
import Foundation
import LanguageModel
import Torch

/// `wideband convert`: writes a model folder anew.
struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a model folder anew, in another type or other shards.",
    discussion: """
      Reads a folder of Qwen3, Qwen3-MoE or a Wideband model, one that training saved included, and writes config.json, \
      the weights, and the tokenizer's files and generation_config.json as they are. A folder of a plain model opens \
      in transformers.

      EXAMPLES:
        wideband convert runs/plain/best models/plain --dtype bfloat16
        wideband convert Qwen3-4B models/qwen3-4b --shard-size 2GB
      """)

  @Argument(help: ArgumentHelp("The folder to read.", valueName: "input"))
  var input: String
  @Argument(help: ArgumentHelp("The folder to write.", valueName: "output"))
  var output: String
  @Option(help: ArgumentHelp("The type of the weights; that of the input without it.", valueName: "type"))
  var dtype: WeightType?
  @OptionGroup var folder: FolderOptions

  /// What goes along as it is.
  private static let otherFiles = [
    "generation_config.json", "chat_template.jinja", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json", "LICENSE",
  ]

  func run() throws {
    let source = ModelFolder(URL(filePath: input))
    let configuration = try ModelConfiguration(source)
    // A model made of them vouches for the weights: none is missing, left over or of another shape.
    let weights = WeightStore(stored: try configuration.weights(in: source), mutable: false)
    do { _ = try LanguageModel(configuration, weights: weights) } catch let error
      where error is ConfigurationError || error is TorchError
    {
      throw CommandError("\(input): \(error)")
    }
    var files = tokenizerFiles(input)
    for name in Self.otherFiles { files[name] = try? Data(contentsOf: source.url.appending(path: name)) }
    let own = weights.tensors["model.embed_tokens.weight"]?.dtype
    try ModelFolder(URL(filePath: output)).write(
      configuration: configuration.json(dtype: dtype?.dtype ?? own),
      tensors: weights.tensors.map { (name: $0.key, tensor: $0.value) }, dtype: dtype?.dtype, extraFiles: files,
      maximumShardBytes: folder.shardSize.bytes)
    print("\(output): \(weights.parameterCount) parameters in \((dtype?.dtype ?? own).map { "\($0)" } ?? "none")")
  }
}
