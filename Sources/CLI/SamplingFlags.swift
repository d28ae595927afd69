import ArgumentParser
import Wideband

/// Sampling options: a flag, else the value in the model's `generation_config.json`, else the model's own distribution.
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
    help: ArgumentHelp("Choose among the most probable tokens with this much probability together.", valueName: "share")
  )
  var topP: Double?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Exclude tokens below this fraction of the largest probability.", valueName: "share"))
  var minP: Double?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Above 1, make tokens that occurred less probable.", valueName: "number"))
  var repetitionPenalty: Double?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("The seed of sampling; by default a random one.", valueName: "number"))
  var seed: UInt64?

  func validate() throws {
    do { try overrides.applied(to: .init()).validate(naming: \.flag) } catch { throw ValidationError("\(error)") }
  }

  /// The options that override the model's.
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
