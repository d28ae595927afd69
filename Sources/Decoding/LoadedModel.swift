import CheckedInput
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
  /// How the model's text is meant to be chosen.
  public let generation: GenerationConfiguration
  /// What may be generated: tokens that have text, and those that end one.
  let allowedTokens: AllowedTokens

  /// A model and its tokenizer.
  public init(
    model: LanguageModel, tokenizer: Tokenizer, endOfTextTokens: [Int], generation: GenerationConfiguration = .init()
  ) {
    self.model = model
    self.tokenizer = tokenizer
    self.endOfTextTokens = endOfTextTokens
    self.generation = generation
    let size = model.configuration.vocabularySize
    let ends = Set(endOfTextTokens)
    allowedTokens = AllowedTokens(
      (0..<size).filter { ends.contains($0) || tokenizer.idToToken(Int32(clamping: $0)) != nil })
  }

  /// How the model's text is meant to be chosen, as options.
  ///
  /// - Throws: `GenerationError` naming the file and the key, if `generation_config.json` has a value that means nothing.
  public var sampling: SamplingOptions { get throws { try generation.sampling() } }

  /// The model in a folder, with `tokenizer.json` beside it.
  ///
  /// A folder of low-rank adapters does as well, with the model that they are for; see `StoredModel`.
  ///
  /// Texts end at the tokens that `config.json` and `generation_config.json` name under `eos_token_id`; the latter also
  /// says how tokens are meant to be chosen.
  ///
  /// - Parameters:
  ///   - dtype: the type of weights and activations; nil for that of the file, whose weights are then used where they
  ///     are mapped into memory, without a copy. Quantised weights stay so; without a dtype a model of them computes in
  ///     the device's usual type.
  ///   - scheme: how matrices are quantised as they are loaded; nil to use them as they are.
  ///   - adjusting: changes the configuration of the folder, such as its layer split, before the model is made of it.
  /// - Throws: `CheckpointError`, `InputError`, `TokenizationError` or `GenerationError` naming the file and what is wrong
  ///   with it.
  public init(
    _ url: URL, on device: Device = .cpu, dtype: DType? = nil, quantizing scheme: QuantizationScheme? = nil,
    adjusting: (inout ModelConfiguration) throws -> Void = { _ in }
  ) throws {
    let folder = ModelFolder(url)
    let stored = try StoredModel(folder)
    var configuration = try ModelConfiguration(stored)
    try adjusting(&configuration)
    if let scheme { try configuration.quantize(as: scheme, in: folder) }
    let tokenizer = try Tokenizer(contentsOf: stored.file("tokenizer.json"))
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw GenerationError(
        "\(printable(path: folder.url.path)): the tokenizer has \(tokenizer.vocabularySize) tokens, "
          + "but vocab_size is \(configuration.vocabularySize)")
    }
    let defaults = GenerationConfiguration(
      folder: stored.file(GenerationConfiguration.fileName).deletingLastPathComponent())
    let first = configuration.endOfTextTokens
    self.init(
      model: try Self.model(configuration, stored, on: device, dtype: dtype, quantizing: scheme), tokenizer: tokenizer,
      endOfTextTokens: first + defaults.endOfTextTokens.filter { !first.contains($0) }, generation: defaults)
  }

  /// The token that a text starts with where there is no prompt: the one that stands between texts.
  var startToken: Int? { tokenizer.tokenToID("<|endoftext|>").map(Int.init) ?? endOfTextTokens.first }

  /// The model in a folder that need not have a tokenizer.
  ///
  /// - Throws: as `init`.
  public static func model(
    _ url: URL, on device: Device = .cpu, dtype: DType? = nil, quantizing scheme: QuantizationScheme? = nil,
    adjusting: (inout ModelConfiguration) throws -> Void = { _ in }
  ) throws -> LanguageModel {
    let stored = try StoredModel(ModelFolder(url))
    var configuration = try ModelConfiguration(stored)
    try adjusting(&configuration)
    if let scheme { try configuration.quantize(as: scheme, in: stored.folder) }
    return try model(configuration, stored, on: device, dtype: dtype, quantizing: scheme)
  }

  private static func model(
    _ configuration: ModelConfiguration, _ stored: StoredModel, on device: Device, dtype: DType?,
    quantizing scheme: QuantizationScheme?
  ) throws -> LanguageModel {
    let tensors = try stored.tensors(configuration)
    let own = tensors["model.embed_tokens.weight"]?.dtype ?? .float32
    let kept = dtype ?? (configuration.quantization == nil ? own : device.computeDType)
    let computed = device.activations(for: kept)
    let adapters = try stored.adapters(beside: tensors, dtype: computed, on: device)
    do {
      let weights = WeightStore(
        stored: tensors, dtype: dtype, mutable: false, on: device, quantizing: scheme, adapters: adapters)
      return try LanguageModel(configuration, weights: weights, computingIn: computed)
    } catch { throw GenerationError("\(printable(path: stored.folder.url.path)): \(error)") }
  }
}
