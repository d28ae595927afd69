import ArgumentParser
import Decoding
import Torch

/// How tokens are chosen: a flag, else what the model's `generation_config.json` says, else the model's own
/// distribution.
struct SamplingFlags: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Divide logits by this; 0 takes the most probable token.", valueName: "number"))
  var temperature: Double?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Choose among this many most probable tokens; 0 or -1: among all.", valueName: "number"))
  var topK: Int?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Choose among the tokens with this much probability together.", valueName: "share"))
  var topP: Double?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Leave out tokens below this share of the largest probability.", valueName: "share"))
  var minP: Double?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Make tokens that occurred less probable when above 1.", valueName: "number"))
  var repetitionPenalty: Double?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Where random choices start; a new one each time without it.", valueName: "number"))
  var seed: UInt64?

  func validate() throws {
    do { try overrides.applied(to: .init()).validate(naming: \.flag) } catch { throw ValidationError("\(error)") }
  }

  /// What goes before a model's own settings.
  var overrides: SamplingOverrides {
    var options = SamplingOverrides()
    options.temperature = temperature
    options.topK = topK
    options.topP = topP
    options.minP = minP
    options.repetitionPenalty = repetitionPenalty
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
