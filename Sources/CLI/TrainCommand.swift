import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband train`: trains a model, or resumes a run.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Train a model from a recipe.",
    discussion: """
      The run folder contains the resolved recipe, metrics.jsonl, TensorBoard events, a log and checkpoints, which are \
      model folders. Ctrl-C saves a checkpoint and ends the run. A run that was interrupted or killed is continued with \
      --resume; the result is bit-identical to that of an uninterrupted run.

      EXAMPLES:
        wideband train --recipe configs/quickstart-wide.yaml --data data/tokens --output runs/wide
        wideband train --recipe configs/quickstart-wide.yaml --data data/tokens --output runs/wider \\
          --set model.virtual_width.slots=32 --set training.steps=1000
        wideband train --recipe configs/direct-select.yaml --data data/tokens --from runs/wide/best --output runs/direct
        wideband train --recipe configs/direct-select.yaml --data data/tokens --from Qwen3-0.6B --output runs/lora \\
          --set 'lora={rank: 8, alpha: 16, targets: [attention, feed_forward]}'
        wideband train --resume --output runs/wide --dashboard
      """)

  @Option(help: ArgumentHelp("The recipe, a YAML file.", valueName: "file"))
  var recipe: String?
  @Option(help: ArgumentHelp("The folder of `data prepare`.", valueName: "folder"))
  var data: String?
  @Option(help: ArgumentHelp("The model folder whose weights the run starts from.", valueName: "folder"))
  var from: String?
  @Option(help: ArgumentHelp("The run folder.", valueName: "folder"))
  var output: String
  @Option(help: ArgumentHelp("Change a key of the recipe; may be given several times.", valueName: "key.path=value"))
  var set: [String] = []
  @Option(
    defaultAsFlag: ResumeMode.required,
    help: ArgumentHelp(
      "Continue the run in the run folder; with 'auto' if there is one, and otherwise start it.", valueName: "auto"))
  var resume: ResumeMode?
  @Option(
    defaultAsFlag: 8081,
    help: ArgumentHelp(
      "Show the run's curves in the browser, at port 8081 of 127.0.0.1 or another one; 0 for a free one.",
      valueName: "port"))
  var dashboard: Int?
  @OptionGroup var processes: WorldOptions
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try requireFlag("--dashboard", dashboard, in: 0...65_535)
    if resume == .required, recipe != nil || !set.isEmpty || data != nil || from != nil {
      throw ValidationError(
        "--resume continues the recipe in the run folder: expected no --recipe, --data, --from or --set")
    }
    if resume != .required, recipe == nil {
      throw ValidationError("--recipe is missing; --resume continues a run without one")
    }
  }

  func run() throws {
    try machine.apply {
      let device = try Device(machine.device)
      let ranks = try Ranks(processes.world(), output: output)
      try ranks.reportingErrors {
        let isResumed =
          try ranks.fromFirst {
            resume == .required || resume == .auto && exists("\(output)/recipe.yaml") ? "resume" : ""
          } == "resume"
        if isResumed { try continued(on: device, ranks) } else { try started(on: device, ranks) }
      }
    }
  }

  private func started(on device: Device, _ ranks: Ranks) throws {
    let (recipe, training) = try newRecipe()
    let path = self.recipe ?? ""
    let tokenizer = try loadTokenizer(recipe.data ?? "")
    try Self.checkSample(recipe, tokenizer, path)
    let trainer = try ranks.together { try makeTrainer(recipe, training, tokenizer, on: device, ranks) }
    let directory = try ranks.together { try ranks.isFirst ? RunDirectory(creating: output) : nil }
    do {
      try ranks.together {
        guard let directory else { return }
        try AtomicFile.write(Data(try recipe.yaml().utf8), to: fileURL(directory.recipePath))
      }
      try work(trainer, tokenizer, in: directory, from: nil, on: device, ranks)
    } catch {
      directory?.discardUnbegunRun()
      throw error
    }
  }

  /// The recipe of the flags, and its data.
  private func newRecipe() throws -> (recipe: Recipe, training: TokenDataset) {
    let path = recipe ?? ""
    let folders = [("data", data), ("from", from)].compactMap { key, folder in
      folder.map { ResolvedRecipe.change(key, to: $0) }
    }
    let resolved = try ResolvedRecipe(file: path, changes: set + folders) {
      try ModelConfiguration(ModelFolder(fileURL($0)))
    }
    return (resolved.recipe, resolved.training)
  }

  private func continued(on device: Device, _ ranks: Ranks) throws {
    let directory = try ranks.together { try ranks.isFirst ? RunDirectory(resuming: output) : nil }
    let path = "\(output)/recipe.yaml"
    let recipe = try Recipe(yaml: Recipe.text(of: path), name: path)
    guard let folder = recipe.data else { throw CommandError("\(path): the key 'data' is missing") }
    if self.recipe != nil, let other = try newRecipe().recipe.difference(from: recipe, except: ["data", "from"]) {
      throw CommandError(
        "\(printable(path: path)): \(other.key) is \(other.old), and \(other.new) in the recipe that the run is to go on "
          + "with: expected the same")
    }
    let step = try ranks.fromFirst { try directory?.checkpoints().first.map { "\($0.step)" } ?? "" }
    let checkpoint = try Int(step).map { try TrainingCheckpoint(.init(step: $0, in: output)) }
    let tokenizer = try loadTokenizer(folder)
    try Self.checkSample(recipe, tokenizer, path)
    let trainer = try ranks.together {
      try makeTrainer(
        recipe, try TokenDataset(folder: folder, split: .train), tokenizer, on: device, from: checkpoint, ranks)
    }
    try work(trainer, tokenizer, in: directory, from: checkpoint, on: device, ranks)
  }

  private func makeTrainer(
    _ recipe: Recipe, _ training: TokenDataset, _ tokenizer: Tokenizer, on device: Device,
    from checkpoint: TrainingCheckpoint? = nil, _ ranks: Ranks
  ) throws -> Trainer {
    let folder = recipe.data ?? ""
    try training.check(fingerprint: tokenizer.fingerprint, vocabularySize: recipe.model.vocabularySize)
    try training.check(byteLengths: tokenizer.byteLengths)
    if checkpoint == nil, let start = recipe.from {
      try training.check(
        fingerprint: try loadTokenizer(start).fingerprint, vocabularySize: recipe.model.vocabularySize)
    }
    return try Trainer(
      recipe, train: training, validation: try TokenDataset(folder: folder, split: .validation), on: device,
      from: checkpoint, in: ranks.group)
  }

  private func work(
    _ trainer: Trainer, _ tokenizer: Tokenizer, in directory: RunDirectory?,
    from checkpoint: TrainingCheckpoint?, on device: Device, _ ranks: Ranks
  ) throws {
    let (recipe, progress) = (trainer.recipe, checkpoint?.progress)
    try ranks.requireSameStart(trainer)
    let cost = ModelCost(recipe.model, contextLength: recipe.training.sequenceLength)
    let console = try TrainingConsole(
      recipe, logPath: directory?.logPath ?? ranks.logPath, output: ranks.isFirst ? .standardError : .nullDevice,
      isTerminal: ranks.isFirst && isatty(STDERR_FILENO) == 1,
      operationsPerToken: (recipe.lora == nil ? 3 : 2) * cost.operations,
      peakOperations: try ArithmeticPeak.measure(on: device, dtype: device.computeDType))
    ranks.console = console
    if let checkpoint, recipe.distributed?.exchange != .everyMicroBatch, try checkpoint.processes != ranks.size {
      console.note(
        "the checkpoint is of \(try checkpoint.processes) processes, now there are \(ranks.size): further steps are equal but "
          + "for rounding")
    }
    let interrupt = Interrupt(isQuiet: !ranks.isFirst)
    guard let directory else {
      console.note("\(ranks.name): from step \(trainer.stepsTaken)")
      let run = TrainingRun(trainer, progress: progress, console: console)
      if try !run.run(shouldStop: { interrupt.wasRequested }).isFinished { throw ExitCode(130) }
      return
    }
    let run = try TrainingRun(
      trainer, in: directory, progress: progress, files: tokenizerFiles(recipe.data ?? ""), console: console,
      sample: { try Self.sample($0, tokenizer, recipe) })
    let adapters = trainer.model.weights.adapters.map { ", \($0.weights.parameterCount) of adapters" } ?? ""
    let isFinished = try showing(trainer, in: directory) {
      console.note(
        "\(directory.path): \(cost.parameters) parameters\(adapters), \(recipe.training.steps) steps of "
          + "\(recipe.training.tokensPerStep) tokens on \(device)\(ranks.count), from step \(trainer.stepsTaken)")
      return try run.run(shouldStop: { interrupt.wasRequested }).isFinished
    }
    guard !isFinished else { return }
    try StandardOutput.line(
      "stopped; continue\(ranks.count) with: wideband train --resume --output \(printable(path: output))")
    throw ExitCode(130)
  }

  /// Refuses a sample that cannot be generated before training starts.
  private static func checkSample(_ recipe: Recipe, _ tokenizer: Tokenizer, _ file: String) throws {
    guard recipe.sample.interval > 0 else { return }
    let file = printable(file), context = recipe.model.contextLength
    let tokens = try tokenizer.encode(recipe.sample.prompt, addingSpecialTokens: true)
    guard tokens.count < context else {
      throw CommandError(
        "\(file): sample.prompt has \(tokens.count) tokens: expected at most \(context - 1), as the model's context "
          + "holds \(context) (model.max_position_embeddings)")
    }
    guard tokens.allSatisfy({ $0 < recipe.model.vocabularySize }) else {
      throw CommandError("\(file): sample.prompt has a token that is not one of the model's (model.vocab_size)")
    }
    let start = tokenizer.tokenToID("<|endoftext|>") ?? recipe.model.endOfTextTokens.first
    guard !tokens.isEmpty || start != nil else {
      throw CommandError(
        "\(file): sample.prompt is empty: expected text, as the tokenizer has no token to start one from")
    }
  }

  private static func sample(_ model: LanguageModel, _ tokenizer: Tokenizer, _ recipe: Recipe) throws -> String {
    var options = GenerationOptions(sampleOf: recipe.sample.tokens, seed: recipe.training.seed)
    options.cycle = recipe.directDecoding?.split.cycle
    let loaded = LoadedModel(model: model, tokenizer: tokenizer, endOfTextTokens: model.configuration.endOfTextTokens)
    return recipe.sample.prompt + (try loaded.generate(recipe.sample.prompt, options: options).text)
  }
}
