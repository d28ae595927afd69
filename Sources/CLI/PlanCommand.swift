import ArgumentParser
import Wideband
import WidebandCheckedInput

/// `wideband plan`: predicts memory, time and efficiency of a training run on several machines.
struct PlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Predict the memory of a rank and the time of a training step on several machines.",
    discussion: """
      A prediction from the model's own counts of weights and operations, not a measurement. Not counted: the exchange \
      among GPUs of a machine, latency, evaluation, checkpoints, and machines that wait for each other or share a slower link. \
      docs/distributed.md has the formulas.

      EXAMPLES:
        wideband plan --recipe configs/quickstart-wide.yaml --set training.rows_per_batch=2 --device cpu --nodes 2 \\
          --bandwidth 1Gb/s
        wideband plan --recipe large.yaml --nodes 16 --gpus 8 --bandwidth 400Gb/s --peak 989TFLOP/s --memory 80GB
      """)

  @Option(help: ArgumentHelp("The recipe, a YAML file.", valueName: "file"))
  var recipe: String
  @Option(help: ArgumentHelp("Change a key of the recipe; may be given several times.", valueName: "key.path=value"))
  var set: [String] = []
  @Option(help: ArgumentHelp("Machines.", valueName: "number"))
  var nodes: Int
  @Option(help: ArgumentHelp("Ranks of a machine: GPUs, or processes with --device cpu.", valueName: "number"))
  var gpus = 1
  @Option(help: "What a rank computes on.")
  var device = Cluster.Kind.cuda
  @Option(
    help: ArgumentHelp("The line rate of a machine's network, as in 100Gb/s.", valueName: "rate"),
    transform: BitRate.init(parsing:))
  var bandwidth: BitRate
  @Option(
    help: ArgumentHelp(
      "The fraction of the line rate that is reached: 0.8, with --device cpu 0.6, unless given.", valueName: "fraction")
  )
  var lineEfficiency: Double?
  @Option(
    help: ArgumentHelp("The memory of a rank, as in 80GB.", valueName: "size"), transform: ByteCount.init(parsing:))
  var memory: ByteCount?
  @Option(
    help: ArgumentHelp(
      "The peak of a rank's device, as in 989TFLOP/s; with --device cpu measured here by default.", valueName: "rate"),
    transform: OperationRate.init(parsing:))
  var peak: OperationRate?
  @Option(help: ArgumentHelp("The fraction of the peak that one rank alone reaches.", valueName: "fraction"))
  var utilization = 0.4

  func validate() throws {
    try requireFlag("--nodes", nodes, in: 1...65_536)
    try requireFlag("--gpus", gpus, in: 1...1024)
    for (flag, value) in [("--line-efficiency", lineEfficiency ?? 1), ("--utilization", utilization)]
    where !(value > 0 && value <= 1) {
      throw ValidationError("\(flag) is \(value): expected more than 0, at most 1")
    }
    if let memory, memory.bytes < 1_000_000 {
      throw ValidationError("--memory is \(memory): expected at least 1MB, as in 80GB")
    }
    if device == .cuda, peak == nil {
      throw ValidationError("--peak is missing: expected the peak of a GPU, as in 989TFLOP/s, or --device cpu")
    }
  }

  func run() throws {
    let name = printable(path: recipe)
    let recipe = try loadRecipe()
    if let choice = recipe.training.trainedWeights, choice != .all {
      throw CommandError(
        "\(name): training.trained_weights is \(choice.rawValue): expected all, as only the training of all weights is "
          + "predicted")
    }
    let work = ScalingPlan.Work(recipe)
    let measured = try peak?.perSecond ?? ArithmeticPeak.measure(on: .cpu, dtype: .float32)
    let cluster = Cluster(
      device, nodes: nodes, ranksPerNode: gpus, lineRate: bandwidth.bytesPerSecond, lineEfficiency: lineEfficiency,
      peakOperations: measured, utilization: utilization)
    guard let plan = ScalingPlan(work, on: cluster) else {
      throw CommandError(
        "\(name): the number of batches of a step is \(work.batches) (training.tokens_per_step, sequence_length and "
          + "rows_per_batch): expected a multiple of the number of ranks, \(cluster.ranks)")
    }
    try StandardOutput.line(PlanReport(plan, recipe, memoryLimit: memory).text)
  }

  private func loadRecipe() throws -> Recipe {
    let yaml = try Recipe.text(of: recipe)
    let folders = try Recipe.folders(yaml: yaml, name: recipe, changes: set)
    for (key, isGiven) in [("lora", folders.adapts), ("direct_decoding", folders.decodesDirectly)] where isGiven {
      throw CommandError(
        "\(printable(recipe)): has the key '\(key)': expected none, as only the training of all weights is predicted")
    }
    // A recipe's vocabulary size is the tokenizer's; without one, that of the quickstart is assumed, as in `info`.
    return try Recipe(
      yaml: yaml, name: recipe, changes: set, vocabularySize: 4096,
      startingFrom: folders.from.map { try ModelConfiguration(ModelFolder(fileURL($0))) })
  }
}

extension Cluster.Kind: ExpressibleByArgument {}
