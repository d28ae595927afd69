import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTokenization
import WidebandTorch

/// A model and its tokenizer, ready to generate text.
///
/// Nothing in it changes after loading: weights are only read, so many threads may use it.
public struct LoadedModel: @unchecked Sendable {
  /// The model.
  public let model: LanguageModel
  /// The tokenizer of the model.
  public let tokenizer: Tokenizer
  /// Tokens that end a generated text.
  public let endOfTextTokens: [TokenID]
  /// The model's default options of generation.
  public let generation: GenerationConfiguration
  /// Tokens that may be generated: those of the tokenizer, and those that end a text.
  let allowedTokens: AllowedTokens

  /// A model and its tokenizer.
  public init(
    model: LanguageModel, tokenizer: Tokenizer, endOfTextTokens: [TokenID],
    generation: GenerationConfiguration = .init()
  ) {
    self.model = model
    self.tokenizer = tokenizer
    self.endOfTextTokens = endOfTextTokens
    self.generation = generation
    let ends = Set(endOfTextTokens)
    allowedTokens = AllowedTokens(
      (0..<TokenID(clamping: model.configuration.vocabularySize)).filter {
        ends.contains($0) || tokenizer.idToToken($0) != nil
      })
  }

  /// The model's default sampling options.
  ///
  /// - Throws: `GenerationError` naming the file and the key, if `generation_config.json` has an invalid value.
  public var sampling: SamplingOptions { get throws { try generation.sampling() } }

  /// The model and `tokenizer.json` in a folder, or LoRA adapters in a folder with their base model; see `ModelSource`.
  ///
  /// Texts end at the tokens that `config.json` and `generation_config.json` name under `eos_token_id`; the latter also
  /// has the default sampling options.
  ///
  /// - Parameters:
  ///   - dtype: the type of weights and activations; nil for that of the file, whose weights are then used where they
  ///     are mapped into memory, without a copy. Quantized weights stay quantized; without a dtype their model computes
  ///     in the device's default type.
  ///   - scheme: how matrices are quantized as they are loaded; nil to use them as they are.
  ///   - adjusting: changes the folder's configuration, such as its layer split, before the model is created.
  /// - Throws: `CheckpointError`, `InputError`, `TokenizationError` or `GenerationError` naming the file and what is wrong
  ///   with it.
  public init(
    _ url: URL, on device: Device = .cpu, dtype: DType? = nil, quantizing scheme: QuantizationScheme? = nil,
    adjusting: (inout ModelConfiguration) throws -> Void = { _ in }
  ) throws {
    let (configuration, source) = try Self.configuration(url, quantizing: scheme, adjusting: adjusting)
    let tokenizer = try Tokenizer(contentsOf: source.file("tokenizer.json"))
    guard tokenizer.vocabularySize <= configuration.vocabularySize else {
      throw GenerationError.invalidFile(
        "\(printable(path: source.folder.url.path)): the tokenizer has \(tokenizer.vocabularySize) tokens, "
          + "but vocab_size is \(configuration.vocabularySize)")
    }
    let defaults = GenerationConfiguration(
      folder: source.file(GenerationConfiguration.fileName).deletingLastPathComponent())
    let first = configuration.endOfTextTokens
    self.init(
      model: try Self.model(configuration, source, on: device, dtype: dtype, quantizing: scheme), tokenizer: tokenizer,
      endOfTextTokens: first + defaults.endOfTextTokens.filter { !first.contains($0) }, generation: defaults)
  }

  /// Samples the token that follows `tokens`, whose logits are `[V]`, among those that may be generated.
  ///
  /// - Throws: as `Sampler.next`.
  package func sample(_ logits: Tensor, with sampler: Sampler, after tokens: [TokenID]) throws -> TokenID {
    try sampler.next(logits, among: allowedTokens, after: tokens)
  }

  /// The first token of a text without a prompt: the one that separates texts.
  package var startToken: TokenID? { tokenizer.tokenToID("<|endoftext|>") ?? endOfTextTokens.first }

  /// The model in a folder, without its tokenizer.
  ///
  /// - Throws: as `init`.
  public static func model(
    _ url: URL, on device: Device = .cpu, dtype: DType? = nil, quantizing scheme: QuantizationScheme? = nil,
    adjusting: (inout ModelConfiguration) throws -> Void = { _ in }
  ) throws -> LanguageModel {
    let (configuration, source) = try configuration(url, quantizing: scheme, adjusting: adjusting)
    return try model(configuration, source, on: device, dtype: dtype, quantizing: scheme)
  }

  private static func configuration(
    _ url: URL, quantizing scheme: QuantizationScheme?, adjusting: (inout ModelConfiguration) throws -> Void
  ) throws -> (ModelConfiguration, ModelSource) {
    let source = try ModelSource(ModelFolder(url))
    var configuration = try ModelConfiguration(source)
    try adjusting(&configuration)
    if let scheme { try configuration.quantize(as: scheme, in: source.folder) }
    return (configuration, source)
  }

  private static func model(
    _ configuration: ModelConfiguration, _ source: ModelSource, on device: Device, dtype: DType?,
    quantizing scheme: QuantizationScheme?
  ) throws -> LanguageModel {
    let tensors = try source.tensors(configuration)
    let own = tensors["model.embed_tokens.weight"]?.dtype ?? .float32
    let weightType = dtype ?? (configuration.quantization == nil ? own : device.computeDType)
    let computed = device.activations(for: weightType)
    let adapters = try source.adapters(for: tensors, dtype: computed, on: device)
    do {
      let weights = WeightStore(
        stored: tensors, dtype: dtype, mutable: false, on: device, quantizing: scheme, adapters: adapters)
      return try LanguageModel(configuration, weights: weights, computingIn: computed)
    } catch let error as TorchError where [.outOfMemory, .device].contains(error.kind) {
      // Not the folder's fault.
      throw error
    } catch { throw GenerationError.invalidFile("\(printable(path: source.folder.url.path)): \(error)") }
  }
}
