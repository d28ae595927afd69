import ArgumentParser
import CheckedInput
import Decoding
import Foundation
import Torch

/// `wideband generate`: continues a prompt with a model's own text.
struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Continue a prompt with text that a model writes.",
    discussion: """
      The text goes to standard output as it is written, without the prompt; a line with counts and times goes to \
      standard error. The same seed gives the same text, with and without the cache. Tokens are chosen as the model's \
      generation_config.json says, where it has one and no option says otherwise.

      With --cycle the model decodes directly: the thinking layers run once for so many tokens. The layer split is \
      that of the folder, or given here for a model that was not tuned; such a model writes worse. --stats adds what \
      a token reads, and decodes the same prompt ordinarily for comparison.

      With --draft the model proposes tokens cheaply and verifies them in one pass, which changes the speed and not the \
      text: a greedy text is the same, a drawn one has the same distribution.

      With --batch all documents of a file are continued ({"text": …} a line in .jsonl, the whole of a .txt), up to 16 \
      together: each is the text that it would be alone, in a fraction of the time. Standard output gets a line of \
      JSON for each, in the order of the file. Its index is that of the line in the file, from 0, and it draws from the \
      seed + index; an empty text starts a new one.

      EXAMPLES:
        wideband generate --model runs/bible --prompt "In the beginning"
        wideband generate --model runs/bible --prompt "And God" --temperature 0
        wideband generate --model runs/bible --prompt-file chapter.txt --stop "."
        wideband generate --model runs/direct --prompt "And God" --cycle 4 --stats
        wideband generate --model Qwen3-0.6B --prompt "And God" --quantize int4
        wideband generate --model runs/wide --prompt "And God" --draft prediction
        wideband generate --model runs/bible --batch prompts.jsonl > texts.jsonl
        echo "Now it came to pass" | wideband generate --model runs/bible
      """)

  @Option(help: ArgumentHelp("The model's folder.", valueName: "folder"))
  var model: String
  @Option(help: ArgumentHelp("The text to continue; an empty one starts a new text.", valueName: "text"))
  var prompt: String?
  @Option(
    help: ArgumentHelp("Read the prompt from a file; without either option, from standard input.", valueName: "file"))
  var promptFile: String?
  @Option(help: ArgumentHelp("Continue all documents of a file, several at a time.", valueName: "file"))
  var batch: String?
  @Option(help: ArgumentHelp("Tokens to write at most.", valueName: "number"))
  var maxTokens = GenerationOptions().maximumTokens
  @OptionGroup var sampling: SamplingFlags
  @Option(help: ArgumentHelp("End before this text; may be given several times.", valueName: "text"))
  var stop: [String] = []
  @Option(help: ArgumentHelp("Decode directly, with this many tokens a cycle.", valueName: "number"))
  var cycle: Int?
  @OptionGroup var split: SplitOptions
  @Option(help: "Draft by the model's multi-token prediction, or by direct decoding, and verify.")
  var draft: Drafter?
  @Flag(help: "Say what a token reads, and how fast it is beside ordinary decoding.")
  var stats = false
  @Flag(name: .customLong("no-cache"), help: "Compute the whole text anew for every token.")
  var isWithoutCache = false
  @Option(
    help: ArgumentHelp(
      "How keys and values are kept; bfloat16 for weights of less than 32 bits without it.", valueName: "form"))
  var keyValueCache: KeyValueCache.Form?
  @Option(help: ArgumentHelp("The type of the weights; that of the file without it.", valueName: "type"))
  var dtype: WeightType?
  @Option(help: ArgumentHelp("Quantise the weights as they are loaded.", valueName: "scheme"))
  var quantize: QuantizationScheme?
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try requireFlag("--max-tokens", maxTokens, in: Limits.tokens)
    try requireFlag("--cycle", cycle, in: Limits.cycle)
    let prompts = [("--prompt", prompt), ("--prompt-file", promptFile), ("--batch", batch)].filter { $0.1 != nil }
    if prompts.count > 1 {
      throw ValidationError("\(prompts[0].0) and \(prompts[1].0) are both given: expected one of them")
    }
    if batch != nil, draft != nil || stats {
      throw ValidationError("\(draft != nil ? "--draft" : "--stats") is for one text: expected none with --batch")
    }
  }

  func run() throws {
    try options(sampling.overrides.applied(to: .init())).validate()
    if let batch { return try runBatch(batch) }
    let text = try promptText()
    try machine.apply {
      let loaded = try loadedModel()
      let options = try options(loaded.generation.sampling(sampling.overrides))
      let result = try loaded.generate(text, options: options) { try StandardOutput.write($0) }
      try StandardOutput.line()
      var lines = [Self.statistics(result)]
      if let drafts = result.drafts { lines.append(DirectReport.line(drafts)) }
      if stats { lines += try report(result, of: loaded, beside: text, options) }
      StandardError.line(lines.joined(separator: "\n"))
    }
  }

  /// The model, with the layer split that is asked for.
  func loadedModel() throws -> LoadedModel {
    try LoadedModel(
      fileURL(model), on: Device(machine.device), dtype: dtype?.dtype, quantizing: quantize
    ) {
      try split.apply(to: &$0, of: "\(model)/config.json", cycle: cycle, drafts: draft == .direct)
    }
  }

  /// What a token read, and how fast it was beside ordinary decoding of the same prompt.
  private func report(
    _ result: GenerationResult, of loaded: LoadedModel, beside text: String, _ options: GenerationOptions
  ) throws -> [String] {
    var ordinary = options
    ordinary.cycle = nil
    ordinary.drafter = nil
    let isOrdinary = cycle == nil && draft == nil
    let comparison = try isOrdinary ? nil : loaded.generate(text, options: ordinary)
    let cost = try DirectDecodingCost(loaded.model, cycle: draft == nil ? cycle : nil)
    return DirectReport.lines(result, beside: comparison, cost: cost, model: loaded.model.configuration)
  }

  /// What is asked for, with options that the flags have gone into.
  func options(_ choice: SamplingOptions) -> GenerationOptions {
    var options = GenerationOptions()
    options.sampling = choice
    options.seed = sampling.seed
    options.maximumTokens = maxTokens
    options.stopStrings = stop
    options.cycle = cycle
    options.drafter = draft
    options.usesCache = !isWithoutCache
    options.keyValueForm = keyValueCache
    return options
  }

  /// The prompt, without the line break that ends a file.
  private func promptText() throws -> String {
    if let prompt { return prompt }
    let limit = StandardInput.longestText
    let bytes =
      try promptFile.map { try boundedContents(ofStream: $0, limit: limit) } ?? StandardInput.contents(limit: limit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CommandError("\(promptFile.map { printable($0) } ?? StandardInput.name): the prompt is not UTF-8")
    }
    guard text.utf8.last == UInt8(ascii: "\n") else { return text }
    return String(text.unicodeScalars.dropLast(text.utf8.dropLast().last == UInt8(ascii: "\r") ? 2 : 1))
  }

  /// One line for people: counts, times, why the text ended and how to get it again.
  static func statistics(_ result: GenerationResult) -> String {
    let speed = result.tokensPerSecond.map { String(format: "%.1f tokens/s", $0) }
    let first = String(format: "first token after %.3f s", result.prefillSeconds)
    let parts = [
      "\(result.promptTokenCount) prompt tokens", "\(result.tokens.count) new tokens", first, speed,
      "ended by \(result.finishReason)", "seed \(result.seed)",
    ]
    return parts.compactMap(\.self).joined(separator: " · ")
  }
}

extension Drafter: ExpressibleByArgument {}
extension KeyValueCache.Form: ExpressibleByArgument {}
