import Foundation
import WidebandCheckpoint
import WidebandData
import WidebandDistributed
import WidebandLanguageModel
import WidebandTorch
import WidebandVirtualWidth

/// A model, its optimizer and its data: takes training steps and evaluates.
///
/// A step is a function of the recipe, the data, the state after the step before it, and its number, so that a trainer
/// that starts from a checkpoint computes the same steps bit for bit.
public final class Trainer {
  /// The recipe of the run.
  public let recipe: Recipe
  /// The model. Its trained weights or adapters are float32.
  public let model: LanguageModel
  /// The optimizer, with its moments.
  public let optimizer: AdamW
  /// The number of steps that have been taken.
  public private(set) var stepsTaken: Int

  private let train: TokenDataset
  let validation: TokenDataset
  let device: Device
  let byteLengths: Tensor
  let tuning: DirectTuning?
  private let adaptation: LowRankTuning?
  /// The fingerprints of the data and the teacher, which checkpoints store.
  let sources: TrainingCheckpoint.Sources
  private let trainingStep: TrainingStep
  /// The exchange of gradients with other processes; nil for a process alone.
  private let exchange: GradientExchange?
  /// The group of the processes that train together; nil for one alone.
  let group: ProcessGroup?
  /// Steps in a CUDA graph, if the device and the recipe support them.
  private var graphStep: GraphTrainingStep?
  /// The number of tokens routed to each expert in the last batch, by layer.
  private(set) var routedTokens: [Tensor] = []

  /// A trainer at its first step, or at the step of a checkpoint.
  ///
  /// - Parameters:
  ///   - recipe: the recipe of the run.
  ///   - train: the training data.
  ///   - validation: the held-out data, which may be empty.
  ///   - device: the device to train on.
  ///   - checkpoint: the checkpoint to start from; nil to start at the first step.
  ///   - group: the group of the processes that train together; nil for one alone. Each takes its batches of every step,
  ///     and has the optimizer's state of a part of the weights.
  /// - Throws: the errors of building the model and of loading the checkpoint; `DataError` if the training data are
  ///   shorter than one sequence; `TrainingError` if the checkpoint belongs to another recipe or other data, or is not
  ///   finite, and if the batches of a step cannot be shared out.
  public init(
    _ recipe: Recipe, train: TokenDataset, validation: TokenDataset, on device: Device = .cpu,
    from checkpoint: TrainingCheckpoint? = nil, in group: ProcessGroup? = nil
  ) throws {
    try checkpoint?.requireRecipe(recipe)
    try recipe.requireShares(of: group?.size ?? 1, on: device)
    self.group = group
    self.recipe = recipe
    self.train = train
    self.validation = validation
    self.device = device
    byteLengths = validation.byteLengths.to(device)
    _ = try train.windowCount(length: recipe.training.sequenceLength)
    if !validation.isEmpty { _ = try validation.evaluationRowCount(length: recipe.training.sequenceLength) }
    let adaptation = try recipe.lora.map {
      try LowRankTuning($0, of: recipe.from ?? "", recipe, from: checkpoint, on: device)
    }
    self.adaptation = adaptation
    let weights = try adaptation?.weights ?? Self.weights(recipe, from: checkpoint, on: device)
    model = try LanguageModel(
      recipe.model, weights: weights, start: recipe.initialValues, computingIn: device.computeDType)
    tuning = try recipe.directDecoding.map { direct in
      try DirectTuning(direct, recipe, untuned: adaptation.map { _ in weights.tensors }, on: device)
    }
    sources = TrainingCheckpoint.Sources(
      data: try train.fingerprint(with: validation), teacher: tuning?.teacherFingerprint)
    try checkpoint?.requireSources(sources, data: train.folder, teacher: recipe.from)
    let candidates = weights.adapters?.weights.tensors ?? tuning?.trainedWeights(of: weights.tensors) ?? weights.tensors
    let choice = recipe.training.trainedWeights ?? .all
    let trained = candidates.filter { choice.contains($0.key) }
    for tensor in trained.values { tensor.requiringGradient() }
    stepsTaken = checkpoint?.progress.step ?? 0
    let isShared = group != nil || recipe.distributed != nil
    exchange =
      try isShared
      ? GradientExchange(trained.map { (name: $0, tensor: $1) }, FlatLayout(trained), group) : nil
    optimizer = try AdamW(trained, recipe.optimizer, step: stepsTaken, shard: exchange?.shard)
    if let checkpoint { try optimizer.load(checkpoint.moments()) }
    trainingStep = TrainingStep(
      model, optimizer, tuning: tuning, recomputesLayers: recipe.training.activationCheckpointing ?? false)
    do { if checkpoint != nil { try requireFinite() } } catch let error as NotFiniteError {
      throw TrainingError.damagedCheckpoint(
        "\(checkpoint?.url.path ?? ""): \(error): remove this folder to continue from the checkpoint before it")
    }
    if let capture = CUDAGraph.capturer(for: device) { useGraph(capture) }
  }

  /// Takes steps in a CUDA graph from now on, if they have one batch, no tuning and no data-dependent shapes.
  func useGraph(_ capture: @escaping CUDAGraph.Capturer) {
    guard recipe.training.accumulation == 1, tuning == nil, recipe.model.experts == nil, exchange == nil else { return }
    graphStep = GraphTrainingStep(trainingStep, capture: capture)
  }

  /// The initial weights: those of the checkpoint, of the folder that the run starts from, or new ones.
  private static func weights(
    _ recipe: Recipe, from checkpoint: TrainingCheckpoint?, on device: Device
  ) throws -> WeightStore {
    let stored = try checkpoint?.weights() ?? recipe.from.map { try recipe.model.wholeWeights(in: $0) }
    guard let stored else { return WeightStore(seed: recipe.training.seed, on: device) }
    return WeightStore(stored: stored, dtype: .float32, mutable: true, on: device)
  }

  /// Writes the trained weights or adapters into a folder.
  func writeWeights(into folder: URL) throws {
    if let adaptation { return try adaptation.write(into: folder) }
    let weights = model.weights.tensors.map { (name: $0.key, tensor: $0.value) }
    try Safetensors.write(weights, to: folder.appending(path: TrainingCheckpoint.weightsName))
  }

  /// The measurements of one step.
  public struct Step: Sendable {
    /// The step's number, from 1.
    public let number: Int
    /// The mean losses by name, in nats: `total`, `next_token`, …; when tuning for direct decoding also `phase_0`,
    /// `phase_1` …, the next-token losses by phase.
    public let losses: [(name: String, value: Double)]
    /// The norm of all gradients before clipping.
    public let gradientNorm: Double
    /// The learning rate of this step.
    public let learningRate: Double
  }

  /// Takes one step: forward and backward passes over all its rows, clipping, and the update.
  ///
  /// - Throws: `NotFiniteError` if a loss or the gradient is not finite; no weight is changed then.
  public func step() throws -> Step {
    let factor = recipe.schedule.factor(at: stepsTaken, of: recipe.training.steps)
    let learningRate = recipe.optimizer.learningRate * factor
    let first = try batch(firstIndex)
    let result = try takeGraphStep(first, learningRate) ?? takeStep(first, learningRate)
    try requireFinite(result)
    stepsTaken += 1
    return Step(
      number: stepsTaken, losses: result.losses, gradientNorm: result.gradientNorm, learningRate: learningRate)
  }

  /// This process's batches of a step: the others' are between them, so that an exchange after each batch adds the
  /// gradients in the order of the batches.
  private var batchIndices: StrideTo<Int> {
    stride(from: firstIndex, to: recipe.training.accumulation, by: group?.size ?? 1)
  }

  private var firstIndex: Int { group?.rank ?? 0 }

  /// Batch `index` of the next step.
  private func batch(_ index: Int) throws -> Batch {
    let settings = recipe.training
    return try train.batch(
      step: stepsTaken, rows: settings.rowsPerStep, part: rows(index), length: settings.sequenceLength,
      seed: settings.seed
    ).to(device)
  }

  /// The rows of batch `index` among those of a step.
  private func rows(_ index: Int) -> Range<Int> {
    let count = recipe.training.rowsPerBatch
    return (index * count)..<((index + 1) * count)
  }

  /// Takes the step in a CUDA graph; nil without one.
  private func takeGraphStep(_ batch: Batch, _ learningRate: Double) throws -> TrainingStep.Result? {
    guard let graphStep, batch.packing == nil else { return nil }
    return try graphStep.take(batch.tokens, batch.targets, learningRate: learningRate)
  }

  /// Takes the step batch by batch.
  ///
  /// - Parameter first: this process's first batch of the step.
  private func takeStep(_ first: Batch, _ learningRate: Double) throws -> TrainingStep.Result {
    let settings = recipe.training
    // Rows of plain text have equally many targets; batches of conversations are weighted by their number of targets.
    let isUneven = first.packing != nil && settings.accumulation > 1
    let counts = isUneven ? try targetCounts() : nil
    var own: [MicroBatchLosses] = []
    for index in batchIndices {
      let part = index == firstIndex ? first : try batch(index)
      let gate = try tuning?.gate(
        over: part, step: stepsTaken, firstRow: rows(index).lowerBound, of: settings.rowsPerStep)
      let fractions = try counts.map { try LossFractions(of: .init(part.targets, recipe.model), in: $0) }
      let isLast = index + (group?.size ?? 1) >= settings.accumulation
      let exchange = isLast || recipe.distributed?.exchange == .everyMicroBatch ? exchange : nil
      own.append(
        try exchange?.add { try accumulate(part, gate, fractions) } ?? accumulate(part, gate, fractions))
    }
    let losses = try losses(
      of: MicroBatchLosses.gathered(own, in: group), divisor: isUneven ? 1 : settings.accumulation)
    guard let exchange else { return try trainingStep.finish(losses, learningRate: learningRate) }
    return try trainingStep.finish(losses, learningRate: learningRate, exchange: exchange)
  }

  /// The losses of a step with these batches.
  private func losses(of batches: [MicroBatchLosses], divisor: Int) -> [(name: String, value: Double)] {
    var sums: [(name: String, value: Double)] = []
    var phases = PhaseLosses()
    for batch in batches {
      sums = sums.isEmpty ? batch.losses : zip(sums, batch.losses).map { ($0.name, $0.value + $1.value) }
      phases.add(batch.phases)
    }
    return sums.map { ($0.name, $0.value / Double(divisor)) } + phases.named
  }

  /// Adds the gradients of a batch to those of the step. Returns its contribution to the step's losses.
  private func accumulate(
    _ batch: Batch, _ gate: CycleGate?, _ fractions: LossFractions?
  ) throws -> MicroBatchLosses {
    try withTorch {
      let scale = fractions == nil ? 1 / Double(recipe.training.accumulation) : 1
      let (losses, context) = trainingStep.accumulate(batch, gate: gate, fractions: fractions, scale: scale)
      var phases = PhaseLosses()
      if let gate, let positions = losses.positions {
        try phases.add(positions, phases: gate.phases, targets: batch.targets)
      }
      routedTokens = context.expertLoads
      return MicroBatchLosses(losses: try losses.named.map { ($0.name, try $0.value.item()) }, phases: phases)
    }
  }

  /// The numbers of targets of all rows of the next step.
  private func targetCounts() throws -> LossFractions.Counts {
    var sum = try LossFractions.Counts(batch(0).targets, recipe.model)
    for index in 1..<recipe.training.accumulation { sum += try .init(batch(index).targets, recipe.model) }
    return sum
  }

  /// Checks that the losses and the gradient norm of a step are finite.
  private func requireFinite(_ result: TrainingStep.Result) throws {
    guard result.isFinite else {
      let loss = result.losses.first { !$0.value.isFinite } ?? result.losses.first
      throw NotFiniteError(
        "step \(stepsTaken + 1): the loss is \(NotFiniteError.text(loss?.value ?? .nan)) and the gradient norm "
          + "\(NotFiniteError.text(result.gradientNorm)); stopped before the update")
    }
  }

  /// Checks that everything that a checkpoint would contain is finite.
  ///
  /// - Throws: `NotFiniteError` that names the weight or the moment.
  func requireFinite() throws {
    let trained = model.weights.adapters?.weights.tensors ?? model.weights.tensors
    try NotFiniteError.check(trained, "weight")
    try NotFiniteError.check(optimizer.moments, "optimizer's")
  }
}
