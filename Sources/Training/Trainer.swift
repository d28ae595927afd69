import Checkpoint
import Foundation
import LanguageModel
import Torch
import VirtualWidth

/// A model, its optimizer and its data: takes one step at a time and measures.
///
/// Everything that a step computes follows from the recipe, the data and the number of the step, so that a trainer
/// made from a checkpoint goes on exactly where the one before it would have.
public final class Trainer {
  /// What decides the run.
  public let recipe: Recipe
  /// The model being trained. What is trained of it is float32: its weights, or adapters beside them.
  public let model: LanguageModel
  /// The optimizer, with its moments.
  public let optimizer: AdamW
  /// Steps that have been taken.
  public private(set) var stepsTaken: Int

  private let train: TokenDataset
  private let validation: TokenDataset
  private let device: Device
  private let schedule: Schedule
  private let byteLengths: Tensor
  private let tuning: DirectTuning?
  private let adaptation: LowRankTuning?
  /// What the run is trained on, as a checkpoint notes it.
  let sources: TrainingCheckpoint.Sources
  private var routed: [Tensor] = []
  /// Steps that are recorded on the device; nil where nothing is.
  private var recorded: RecordedTraining?

  /// A trainer at its first step, or at the step of a checkpoint.
  ///
  /// - Parameter validation: what losses are measured on; it may be empty.
  /// - Throws: what building the model or loading the checkpoint throws; `DataError` if the text to train on is shorter
  ///   than one sequence; `TrainingError` if the checkpoint is that of another recipe, of other data, or not finite.
  public init(
    _ recipe: Recipe, train: TokenDataset, validation: TokenDataset, on device: Device = .cpu,
    from checkpoint: TrainingCheckpoint? = nil
  ) throws {
    try checkpoint?.requireRecipe(recipe)
    self.recipe = recipe
    self.train = train
    self.validation = validation
    self.device = device
    schedule = Schedule(recipe.schedule, steps: recipe.training.steps)
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
    let trained = weights.adapters?.weights.tensors ?? tuning?.trained(weights.tensors) ?? weights.tensors
    for tensor in trained.values { tensor.requiringGradient() }
    stepsTaken = checkpoint?.progress.step ?? 0
    optimizer = try AdamW(
      trained, recipe.optimizer, step: stepsTaken, stored: try checkpoint?.moments())
    do { if checkpoint != nil { try requireFinite() } } catch let error as NotFiniteError {
      throw TrainingError(
        "\(checkpoint?.url.path ?? ""): \(error): remove this folder to continue from the checkpoint before it")
    }
    if let recorder = RecordedWork.recorder(for: device) { recordSteps(with: recorder) }
  }

  /// Has steps recorded that are alike: one pass over rows of text, through the same weights whatever they say.
  func recordSteps(with recorder: @escaping RecordedWork.Recorder) {
    guard recipe.training.accumulation == 1, tuning == nil, recipe.model.experts == nil else { return }
    recorded = RecordedTraining(model, optimizer, recomputesLayers: recomputesLayers, recorder: recorder)
  }

  private var recomputesLayers: Bool { recipe.training.activationCheckpointing ?? false }

  /// Weights to train: of the checkpoint, of the folder that the run starts from, or fresh ones.
  private static func weights(
    _ recipe: Recipe, from checkpoint: TrainingCheckpoint?, on device: Device
  ) throws -> WeightStore {
    let stored = try checkpoint?.weights() ?? recipe.from.map { try recipe.model.wholeWeights(in: $0) }
    guard let stored else { return WeightStore(seed: recipe.training.seed, on: device) }
    return WeightStore(stored: stored, dtype: .float32, mutable: true, on: device)
  }

  /// Writes the trained weights into a folder.
  func writeWeights(into folder: URL) throws {
    if let adaptation { return try adaptation.write(into: folder) }
    let weights = model.weights.tensors.map { (name: $0.key, tensor: $0.value) }
    try Safetensors.write(weights, to: folder.appending(path: "model.safetensors"))
  }

  /// What one step computed.
  public struct Step: Sendable {
    /// The step's number, from 1.
    public let number: Int
    /// The loss of each part by name, averaged over what the step's rows are to learn: `total`, `next_token`, …; when
    /// tuning for direct decoding also `phase_0`, `phase_1` …, the next token's by phase.
    public let losses: [(name: String, value: Double)]
    /// The norm of all gradients before clipping.
    public let gradientNorm: Double
    /// The learning rate of this step.
    public let learningRate: Double
  }

  /// Takes one step: all its rows forward and back, clipping, and the optimizer.
  ///
  /// - Throws: `NotFiniteError` before any weight is changed, if the loss or the gradient is not finite.
  public func step() throws -> Step {
    let learningRate = recipe.optimizer.learningRate * schedule.factor(at: stepsTaken)
    let first = try batch(0)
    let (losses, norm) = try recordedStep(first, learningRate) ?? ordinaryStep(first, learningRate)
    stepsTaken += 1
    return Step(number: stepsTaken, losses: losses, gradientNorm: norm, learningRate: learningRate)
  }

  /// The rows that go through the model in pass `index` of the next step, and those alone.
  private func batch(_ index: Int) throws -> Batch {
    let plan = recipe.training
    return try train.batch(
      step: stepsTaken, rows: plan.rowsPerStep, part: rows(index), length: plan.sequenceLength, seed: plan.seed
    ).to(device)
  }

  private func rows(_ index: Int) -> Range<Int> {
    let count = recipe.training.rowsPerBatch
    return (index * count)..<((index + 1) * count)
  }

  /// A step's losses and the norm of its gradients.
  private typealias Measured = (losses: [(name: String, value: Double)], norm: Double)

  /// A step that the device takes in one go; nil where nothing is recorded.
  private func recordedStep(_ batch: Batch, _ learningRate: Double) throws -> Measured? {
    guard let recorded, batch.packing == nil else { return nil }
    let measured = try recorded.step(batch.tokens, batch.targets, learningRate: learningRate)
    try requireFinite(measured.losses, measured.gradientNorm)
    return (measured.losses, measured.gradientNorm)
  }

  /// - Parameter first: the rows of the step's first pass.
  private func ordinaryStep(_ first: Batch, _ learningRate: Double) throws -> Measured {
    let plan = recipe.training
    var sums: [(name: String, value: Double)] = []
    var phases = PhaseLosses()
    // Rows of text all count alike; of conversations, each counts for what it has of the step's answers.
    let isUneven = first.packing != nil && plan.accumulation > 1
    let whole = isUneven ? try counts() : nil
    for index in 0..<plan.accumulation {
      let part = index == 0 ? first : try batch(index)
      let gate = try tuning?.gate(
        over: part, step: stepsTaken, firstRow: rows(index).lowerBound, of: plan.rowsPerStep)
      let shares = try whole.map { try LossShares(of: .init(part.targets, recipe.model), in: $0) }
      let measured = try accumulate(part, gate, shares, &phases)
      sums = sums.isEmpty ? measured : zip(sums, measured).map { ($0.name, $0.value + $1.value) }
    }
    let divisor = isUneven ? 1 : Double(plan.accumulation)
    let losses = sums.map { ($0.name, $0.value / divisor) } + phases.named
    let norm = try optimizer.gradientNorm()
    try requireFinite(losses, norm)
    try withTorch { optimizer.step(learningRate: learningRate, scale: max(1, norm / recipe.optimizer.clip)) }
    return (losses, norm)
  }

  /// What all rows of the next step have to be learned from, pass by pass.
  private func counts() throws -> LossShares.Counts {
    var sum = try LossShares.Counts(batch(0).targets, recipe.model)
    for index in 1..<recipe.training.accumulation { sum += try .init(batch(index).targets, recipe.model) }
    return sum
  }

  /// Ends the run where a step has computed what is not finite.
  private func requireFinite(_ losses: [(name: String, value: Double)], _ norm: Double) throws {
    guard losses.allSatisfy(\.value.isFinite), norm.isFinite else {
      let loss = losses.first { !$0.value.isFinite } ?? losses.first
      throw NotFiniteError(
        "step \(stepsTaken + 1): the loss is \(NotFiniteError.text(loss?.value ?? .nan)) and the gradient norm "
          + "\(NotFiniteError.text(norm)); stopped before the update")
    }
  }

  /// Fails unless everything that a checkpoint would keep is finite.
  ///
  /// - Throws: `NotFiniteError` naming the weight, or the moment of one.
  func requireFinite() throws {
    let trained = model.weights.adapters?.weights.tensors ?? model.weights.tensors
    try NotFiniteError.check(trained, "weight")
    try NotFiniteError.check(optimizer.moments, "optimizer's")
  }

  /// The share of tokens that each expert was sent in the last batch, by layer of experts; empty without experts.
  public func expertLoads() throws -> [[Double]] {
    try withTorch {
      try routed.map { layer in
        let counts = try layer.elements(Double.self)
        return counts.map { $0 / max(1, counts.reduce(0, +)) }
      }
    }
  }

  /// Adds the gradients of some rows, and gives what they add to the step's losses.
  private func accumulate(
    _ batch: Batch, _ gate: CycleGate?, _ shares: LossShares?, _ phases: inout PhaseLosses
  ) throws -> [(name: String, value: Double)] {
    try withTorch {
      let pass = batch.pass(recipe.model, gate: gate)
      pass.recomputesLayers = recomputesLayers
      var losses =
        tuning?.losses(model, batch, in: pass) ?? model.losses(batch.tokens, targets: batch.targets, in: pass)
      if let shares { losses = losses.portion(shares, recipe.model) }
      let parts = shares == nil ? recipe.training.accumulation : 1
      (parts == 1 ? losses.total : losses.total * (1 / Double(parts))).backward()
      if let gate, let positions = losses.positions {
        try phases.add(positions, phases: gate.phases, targets: batch.targets)
      }
      routed = pass.expertLoads
      return try losses.named.map { ($0.name, try $0.value.item()) }
    }
  }

  /// Whether there is held-out text to measure losses on.
  public var hasHeldOutText: Bool { !validation.isEmpty }

  /// The losses on held-out text: the same rows every time, gated alike when tuning for direct decoding.
  ///
  /// - Throws: `DataError` without held-out text; `NotFiniteError` if a loss is not finite.
  public func evaluate() throws -> Evaluation {
    let plan = recipe.training
    let rows = max(1, min(plan.rowsPerBatch, recipe.validation.tokens / plan.sequenceLength))
    let batches = try validation.validationBatches(
      rows: rows, length: plan.sequenceLength, limit: recipe.validation.tokens)
    return try Evaluation(model, on: batches.lazy.map { $0.to(self.device) }, byteLengths: byteLengths) {
      [tuning] number, batch in
      try tuning?.gate(over: batch, step: number, firstRow: 0, of: batch.tokens.size(0))
    }
  }

  /// How the connections behave on the first row of held-out text; nil for a plain model.
  public func connectionStatistics() throws -> ConnectionStatistics? {
    let length = min(recipe.training.sequenceLength, 128)
    for batch in try validation.validationBatches(rows: 1, length: length, limit: 1) {
      return try ConnectionStatistics(model, tokens: batch.tokens.to(device))
    }
    return nil
  }
}

/// Why a run cannot go on, in one sentence.
public struct TrainingError: Error, CustomStringConvertible, Sendable {
  /// The sentence.
  public let description: String

  init(_ description: String) { self.description = description }
}
