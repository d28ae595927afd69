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
      "The format of the key-value cache; by default bfloat16 for weights of less than 32 bits.", valueName: "form"))
  var keyValueCache: KVCacheFormat?
  @Option(help: ArgumentHelp("Quantize the weights while loading.", valueName: "scheme"))
  var quantize: QuantizationScheme?

  func validate() throws { try requireFlag("--cycle", cycle, in: Limits.cycle) }
}

extension KVCacheFormat: ExpressibleByArgument {}
