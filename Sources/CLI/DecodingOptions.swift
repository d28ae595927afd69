import ArgumentParser
import Wideband
import WidebandCheckedInput

/// Options that `generate`, `chat` and `bench decode` share: direct decoding, and the formats of weights and cache.
struct DecodingOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Decode directly, with this many tokens per cycle.", valueName: "number"))
  var cycle: Int?
  @OptionGroup var split: SplitOptions
  @Option(help: ArgumentHelp("The type of the weights; by default the file's, or bfloat16.", valueName: "type"))
  var dtype: WeightType?
  @Option(
    help: ArgumentHelp(
      "The format of the key-value cache; by default bfloat16 for weights of less than 32 bits.", valueName: "format"))
  var keyValueCache: KVCacheFormat?
  @Option(help: ArgumentHelp("Quantize the weights while loading.", valueName: "scheme"))
  var quantize: QuantizationScheme?

  func validate() throws { try requireFlag("--cycle", cycle, in: Limits.cycle) }

  /// The model of a folder that has a tokenizer.
  ///
  /// - Parameter drafts: whether direct decoding is used for drafts.
  func loadedModel(_ folder: String, on device: String, drafts: Bool = false) throws -> LoadedModel {
    try LoadedModel(fileURL(folder), on: Device(device), dtype: dtype?.dtype, quantizing: quantize) {
      try split.apply(to: &$0, of: "\(folder)/config.json", cycle: cycle, drafts: drafts)
    }
  }

  /// The options of a generation with these options and those of sampling.
  func generation(_ sampling: SamplingOptions, seed: UInt64?, maximumTokens: Int) -> GenerationOptions {
    var options = GenerationOptions()
    options.sampling = sampling
    options.seed = seed
    options.maximumTokens = maximumTokens
    options.cycle = cycle
    options.cacheFormat = keyValueCache
    return options
  }
}

extension KVCacheFormat: ExpressibleByArgument {}

extension GenerationOptions {
  /// The options of a sample of a model's text.
  init(sampleOf tokens: Int, seed: UInt64) {
    self.init()
    maximumTokens = tokens
    self.seed = seed
    sampling.temperature = 0.8
  }
}

/// The types in which a model can be loaded or written.
enum WeightType: String, ExpressibleByArgument, CaseIterable {
  case float32, bfloat16, float16

  var dtype: DType {
    switch self {
    case .float32: .float32
    case .bfloat16: .bfloat16
    case .float16: .float16
    }
  }
}
