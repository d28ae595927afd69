import Checkpoint
import Foundation
import LanguageModel
import Tokenization
import Torch

/// A model and its tokenizer, ready to write text.
///
/// Nothing in it changes after loading: weights are only read, so it may be used by many threads.
public struct LoadedModel: @unchecked Sendable {
  /// The model.
  public let model: LanguageModel
  /// How text becomes the model's tokens.
  public let tokenizer: Tokenizer
  /// Tokens at which a generated text ends.
  public let endOfTextTokens: [Int]

  /// A model and its tokenizer.
  public init(model: LanguageModel, tokenizer: Tokenizer, endOfTextTokens: [Int]) {
    self.model = model
    self.tokenizer = tokenizer
    self.endOfTextTokens = endOfTextTokens
  }

  /// The model in a folder, with `tokenizer.json` beside it.
  ///
  /// Texts end at the tokens that `config.json` and `generation_config.json` name under `eos_token_id`.
  ///
  /// - Parameters:
  ///   - dtype: the type of weights and activations; nil for that of the file, whose weights are then used where they
  ///     are mapped into memory, without a copy.
  ///   - adjusting: changes the configuration of the folder, such as its layer split, before the model is made of it.
  /// - Throws: `CheckpointError`, `TokenizationError` or `GenerationError` naming the file and what is wrong with it.
  public init(
    _ url: URL, on device: Device = .cpu, dtype: DType? = nil,
    adjusting: (inout ModelConfiguration) throws -> Void = { _ in }
  ) throws {
    let folder = ModelFolder(url)
    var configuration = try ModelConfiguration(folder)
    try adjusting(&configuration)
    tokenizer = try Tokenizer(contentsOf: folder.url.appending(path: "tokenizer.json"))
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw GenerationError(
        "\(folder.url.path): the tokenizer has \(tokenizer.vocabularySize) tokens, "
          + "but vocab_size is \(configuration.vocabularySize)")
    }
    endOfTextTokens = try Self.endOfTextTokens(configuration, folder)
    model = try Self.model(configuration, folder, on: device, dtype: dtype)
  }

  /// The token that a text starts with where there is no prompt: the one that stands between texts.
  var startToken: Int? { tokenizer.tokenToID("<|endoftext|>").map(Int.init) ?? endOfTextTokens.first }

  private static func model(
    _ configuration: ModelConfiguration, _ folder: ModelFolder, on device: Device, dtype: DType?
  ) throws -> LanguageModel {
    let tensors = try folder.readTensors()
    let own = tensors["model.embed_tokens.weight"]?.dtype ?? .float32
    do {
      return try LanguageModel(
        configuration, weights: WeightStore(stored: tensors, dtype: dtype, mutable: false, on: device),
        computingIn: dtype ?? own)
    } catch { throw GenerationError("\(folder.url.path): \(error)") }
  }

  private static func endOfTextTokens(_ configuration: ModelConfiguration, _ folder: ModelFolder) throws -> [Int] {
    let file = folder.url.appending(path: "generation_config.json")
    guard FileManager.default.fileExists(atPath: file.path) else { return configuration.endOfTextTokens }
    let data: Data
    do { data = try Data(contentsOf: file) } catch { throw GenerationError("\(file.path): cannot be read") }
    let more = try decoded(GenerationDefaults.self, from: data, in: file).endOfTextTokens
    return configuration.endOfTextTokens + more.filter { !configuration.endOfTextTokens.contains($0) }
  }
}

/// What is read of `generation_config.json`.
private struct GenerationDefaults: Decodable {
  let endOfTextTokens: [Int]

  enum CodingKeys: String, CodingKey {
    case endOfTextTokens = "eos_token_id"
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    if let one = try? values.decode(Int.self, forKey: .endOfTextTokens) {
      endOfTextTokens = [one]
    } else {
      endOfTextTokens = try values.decodeIfPresent([Int].self, forKey: .endOfTextTokens) ?? []
    }
  }
}
