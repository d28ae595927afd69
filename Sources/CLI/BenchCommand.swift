import ArgumentParser
import Foundation
import Wideband
import WidebandCheckedInput

/// `wideband bench`: measures speed on this machine.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure speed and memory on this machine.",
    discussion: """
      EXAMPLE:
        wideband bench step --config Benchmarks/configs/width_2.json --json
      """,
    subcommands: [Step.self, Connections.self, Decode.self])

  /// Refuses sizes whose product exceeds `Limits.batchTokens`, the maximum number of tokens of a forward pass.
  static func requireTokens(_ sizes: [(flag: String, value: Int)]) throws {
    guard Int.product(sizes.map(\.value)) ?? .max > Limits.batchTokens.upperBound else { return }
    let names = sizes.map { "\($0.flag) is \($0.value)" }.joined(separator: " and ")
    throw ValidationError("\(names): expected at most \(Limits.batchTokens.upperBound) tokens together")
  }

  /// `wideband bench step`.
  struct Step: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Time training steps: forward, backward and AdamW, on random tokens.",
      discussion: """
        Three warm-up steps are not counted. `scripts/bench` compares this with PyTorch.

        EXAMPLE:
          wideband bench step --config Benchmarks/configs/width_2.json --batch 8 --length 256 --steps 7 --json
        """)

    @Option(help: ArgumentHelp("A config.json.", valueName: "file"))
    var config: String
    @Option(help: ArgumentHelp("Rows of a batch.", valueName: "number"))
    var batch = 8
    @Option(help: ArgumentHelp("Tokens of a row.", valueName: "number"))
    var length = 256
    @Option(help: ArgumentHelp("Timed steps.", valueName: "number"))
    var steps = 7
    @Flag(help: "Store only each layer's input, and recompute the layer in the backward pass.")
    var activationCheckpointing = false
    @Flag(help: "Print one line of JSON.")
    var json = false
    @OptionGroup var machine: MachineOptions

    func validate() throws {
      try requireFlag("--batch", batch, in: Limits.rows)
      try requireFlag("--length", length, in: Limits.tokens)
      try requireFlag("--steps", steps, in: Limits.repetitions)
      try BenchCommand.requireTokens([("--batch", batch), ("--length", length)])
    }

    func run() throws {
      try machine.apply {
        let device = try Device(machine.device)
        let configuration = try ModelConfiguration(file: fileURL(config))
        let bench: StepBenchmark
        do {
          bench = try StepBenchmark(
            configuration, batch: batch, length: length, recomputesLayers: activationCheckpointing, on: device)
        } catch let error as ConfigurationError { throw CommandError("\(printable(path: config)): \(error)") }
        for _ in 0..<3 { _ = try bench.step() }
        let times = try (0..<steps).map { _ in try bench.step() }.sorted()
        let seconds = times[times.count / 2]
        let speed = Double(batch * length) / seconds
        let peak = device.kind == .cpu ? ProcessMemory.peakBytes : device.peakBytes
        try StandardOutput.line(
          json
            ? String(format: "{\"step_s\": %.5f, \"tokens_per_s\": %.1f, \"peak_bytes\": ", seconds, speed) + "\(peak)}"
            : String(format: "%.4f s a step, %.0f tokens/s, ", seconds, speed) + "\(peak / 1_000_000) MB at most")
      }
    }
  }
}

/// A model and its optimizer on one batch of random tokens.
private struct StepBenchmark {
  private let batch: Batch
  private let device: Device
  private let trainingStep: TrainingStep
  /// The step in a CUDA graph, if the device supports it.
  private let graphStep: GraphTrainingStep?

  init(
    _ configuration: ModelConfiguration, batch: Int, length: Int, recomputesLayers: Bool, on device: Device
  ) throws {
    self.device = device
    let weights = WeightStore(seed: 0, on: device)
    let model = try LanguageModel(configuration, weights: weights, computingIn: device.computeDType)
    for tensor in weights.tensors.values { tensor.requiringGradient() }
    let optimizer = try AdamW(
      weights.tensors,
      .init(
        learningRate: 1e-3, connectionRates: .init(all: 1), beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01,
        clip: 1))
    let generator = try Generator(seed: 0)
    self.batch = try withTorch {
      let all = Tensor.integers([2, batch, length], in: 0..<configuration.vocabularySize, from: generator).to(device)
      return Batch(tokens: all.select(0, 0), targets: all.select(0, 1))
    }
    let trainingStep = TrainingStep(model, optimizer, recomputesLayers: recomputesLayers)
    self.trainingStep = trainingStep
    graphStep = CUDAGraph.capturer(for: device).map { GraphTrainingStep(trainingStep, capture: $0) }
  }

  /// The seconds of one step.
  func step() throws -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    if let graphStep {
      guard try graphStep.take(batch.tokens, batch.targets, learningRate: 1e-3).isFinite else {
        throw TorchError("the step's loss or gradient is not finite")
      }
    } else {
      try trainingStep.takeWithoutClipping(batch, learningRate: 1e-3)
    }
    try device.synchronize()
    return (clock.now - start) / .seconds(1)
  }
}
