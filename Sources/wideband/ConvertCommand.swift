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
    abstract: "Write a model folder anew: in another type, in other shards, with its adapters fused.",
    discussion: """
      Reads a folder of Qwen3, Qwen3-MoE or a Wideband model, one that training saved included, and writes config.json, \
      the weights, and the tokenizer's files and generation_config.json as they are. A folder of a plain model opens \
      in transformers. Of a folder of LoRA adapters it makes the whole model, with what they add to its weights.

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

  /// What goes along as it is.
  private static let otherFiles = [
    "generation_config.json", "chat_template.jinja", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json", "LICENSE",
  ]

  func run() throws {
    let source = ModelFolder(URL(filePath: input))
    let stored = try StoredModel(source)
    let configuration = try ModelConfiguration(stored)
    // A model made of them vouches for the weights: none is missing, left over or of another shape.
    let weights = WeightStore(
      stored: try stored.tensors(configuration), mutable: false, adapters: try stored.adapters())
    do { _ = try LanguageModel(configuration, weights: weights) } catch let error
      where error is ConfigurationError || error is TorchError
    {
      throw CommandError("\(input): \(error)")
    }
    var files = tokenizerFiles(stored.file("tokenizer.json").path)
    for name in Self.otherFiles { files[name] = try? Data(contentsOf: stored.file(name)) }
    let own = weights.tensors["model.embed_tokens.weight"]?.dtype
    try ModelFolder(URL(filePath: output)).write(
      configuration: configuration.json(dtype: dtype?.dtype ?? own),
      tensors: weights.fused(as: dtype?.dtype), dtype: dtype?.dtype, extraFiles: files,
      maximumShardBytes: folder.shardSize.bytes)
    print("\(output): \(weights.parameterCount) parameters in \((dtype?.dtype ?? own).map { "\($0)" } ?? "none")")
  }
}
