import ArgumentParser
import Decoding
import Torch

/// How tokens are chosen: a flag, else what the model's `generation_config.json` says, else the model's own
/// distribution.
struct SamplingFlags: ParsableArguments {
  @Option(help: ArgumentHelp("Divide logits by this; 0 takes the most probable token.", valueName: "number"))
  var temperature: Double?
  @Option(help: ArgumentHelp("Choose among this many most probable tokens.", valueName: "number"))
  var topK: Int?
  @Option(help: ArgumentHelp("Choose among the tokens with this much probability together.", valueName: "share"))
  var topP: Double?
  @Option(help: ArgumentHelp("Leave out tokens below this share of the largest probability.", valueName: "share"))
  var minP: Double?
  @Option(help: ArgumentHelp("Make tokens that occurred less probable when above 1.", valueName: "number"))
  var repetitionPenalty: Double?
  @Option(help: ArgumentHelp("Where random choices start; a new one each time without it.", valueName: "number"))
  var seed: UInt64?

  /// The flags over a model's own settings.
  func applied(to defaults: SamplingOptions) -> SamplingOptions {
    var options = defaults
    options.temperature = temperature ?? options.temperature
    options.topK = topK ?? options.topK
    options.topP = topP ?? options.topP
    options.minP = minP ?? options.minP
    options.repetitionPenalty = repetitionPenalty ?? options.repetitionPenalty
    return options
  }
}

/// The types that a model may be asked to compute in or to be written in.
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
