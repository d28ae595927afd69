import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband init`: creates a model folder with random weights.
struct InitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Create a model folder of any shape with random weights.",
    discussion: """
      The shapes are those of a config.json, Qwen3's or one with a virtual width. The same seed gives the same \
      weights. With --tokenizer the folder can generate text, which is random.

      EXAMPLES:
        wideband init --config configs/qwen3-0.6b.json --output models/random-0.6b
        wideband init --config config.json --tokenizer data --output models/start --dtype float32 --seed 7
      """)

  @Option(help: ArgumentHelp("A config.json.", valueName: "file"))
  var config: String
  @Option(help: ArgumentHelp("The folder to create.", valueName: "folder"))
  var output: String
  @Option(help: ArgumentHelp("A tokenizer.json, or a folder that has it, to copy into the folder.", valueName: "file"))
  var tokenizer: String?
  @Option(help: ArgumentHelp("The seed of the weights.", valueName: "number"))
  var seed: UInt64 = 0
  @Option(help: ArgumentHelp("The type of the weights.", valueName: "type"))
  var dtype = WeightType.bfloat16
  @OptionGroup var folder: FolderOptions

  func run() throws {
    let target = ModelFolder(fileURL(output))
    try target.requireNew()
    let configuration = try ModelConfiguration(file: fileURL(config))
    var files: [String: Data] = [:]
    if let tokenizer {
      let size = try loadTokenizer(tokenizer).vocabularySize
      guard size <= configuration.vocabularySize else {
        throw CommandError(
          "\(printable(path: config)): the tokenizer has \(size) tokens, but vocab_size is \(configuration.vocabularySize)"
        )
      }
      files = try tokenizerFiles(tokenizer)
    }
    let defaults = GenerationConfiguration(endOfTextTokens: configuration.endOfTextTokens)
    files[GenerationConfiguration.fileName] = try JSONEncoder().encode(defaults)
    let weights = WeightStore(seed: seed, dtype: dtype.dtype)
    try weights.fill(configuration, of: config)
    try target.write(
      configuration: configuration.json(dtype: dtype.dtype),
      tensors: weights.tensors.map { (name: $0.key, tensor: $0.value) }, extraFiles: files,
      maximumShardBytes: folder.shardSize.bytes)
    try StandardOutput.line("\(printable(path: output)): \(weights.parameterCount) parameters in \(dtype.rawValue)")
  }
}
