import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband generate`: continues a prompt with a model's own text.
struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Continue a prompt with text that a model writes.",
    discussion: """
      The text is written to standard output while it is generated, without the prompt; a line with counts and times \
      is written to standard error. The same seed gives the same text, with and without the cache. Sampling options \
      that are not given are those of the model's generation_config.json, if it has one.

      With --cycle the model decodes directly: the thinking layers run once per cycle. The layer split is that of the \
      folder, or given here for a model that was not tuned, whose text is then worse. --stats prints the weights that a \
      token reads, and decodes the same prompt ordinarily for comparison.

      With --draft the model proposes tokens cheaply and verifies them in one pass, which changes the speed and not the \
      text: a greedy text is the same, a sampled one has the same distribution.

      With --batch all documents of a file are continued ({"text": …} per line in .jsonl, a whole .txt), up to 16 \
      together: each text is the same as without --batch. Standard output gets a line of JSON for each, in the order of \
      the file. Its index is that of the line in the file, from 0, and its seed is the given one plus the index; an empty \
      text starts a new one.

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
  @Option(help: ArgumentHelp("The maximum number of tokens to generate.", valueName: "number"))
  var maxTokens = GenerationOptions().maximumTokens
  @OptionGroup var sampling: SamplingFlags
  @Option(help: ArgumentHelp("End before this text; may be given several times.", valueName: "text"))
  var stop: [String] = []
  @OptionGroup var decoding: DecodingOptions
  @Option(help: "Draft by the model's multi-token prediction, or by direct decoding, and verify.")
  var draft: DraftMethod?
  @Flag(help: "Print the weights that a token reads, and the speed compared with ordinary decoding.")
  var stats = false
  @Flag(name: .customLong("no-cache"), help: "Recompute the whole sequence for every token.")
  var isWithoutCache = false
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try requireFlag("--max-tokens", maxTokens, in: Limits.tokens)
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
      let loaded = try decoding.loadedModel(model, on: machine.device, drafts: draft == .direct)
      let options = try options(loaded.generation.sampling(sampling.overrides))
      let result = try loaded.generate(text, options: options) { try StandardOutput.write($0) }
      try StandardOutput.line()
      var lines = [Self.statistics(result)]
      if let drafts = result.drafts { lines.append(DirectReport.line(drafts)) }
      if stats { lines += try report(result, of: loaded, comparedWith: text, options) }
      StandardError.line(lines.joined(separator: "\n"))
    }
  }

  /// The weights that a token read, and the speed compared with ordinary decoding of the same prompt.
  private func report(
    _ result: GenerationResult, of loaded: LoadedModel, comparedWith text: String, _ options: GenerationOptions
  ) throws -> [String] {
    var ordinary = options
    ordinary.cycle = nil
    ordinary.draftMethod = nil
    let isOrdinary = decoding.cycle == nil && draft == nil
    let comparison = try isOrdinary ? nil : loaded.generate(text, options: ordinary)
    let cost = try DirectDecodingCost(loaded.model, cycle: draft == nil ? decoding.cycle : nil)
    return DirectReport.lines(result, comparedWith: comparison, cost: cost, model: loaded.model.configuration)
  }

  /// The generation options of the flags, with the given sampling options.
  func options(_ choice: SamplingOptions) -> GenerationOptions {
    var options = decoding.generation(choice, seed: sampling.seed, maximumTokens: maxTokens)
    options.stopStrings = stop
    options.draftMethod = draft
    options.usesCache = !isWithoutCache
    return options
  }

  /// The prompt, without a file's final line break.
  private func promptText() throws -> String {
    if let prompt { return prompt }
    let limit = StandardInput.maximumTextBytes
    let bytes =
      try promptFile.map { try boundedContents(ofStream: $0, limit: limit) } ?? StandardInput.contents(limit: limit)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CommandError("\(promptFile.map { printable($0) } ?? StandardInput.name): the prompt is not UTF-8")
    }
    guard text.utf8.last == UInt8(ascii: "\n") else { return text }
    return String(text.unicodeScalars.dropLast(text.utf8.dropLast().last == UInt8(ascii: "\r") ? 2 : 1))
  }

  /// A readable line: counts, times, the reason for the end, and the seed.
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

extension DraftMethod: ExpressibleByArgument {}
