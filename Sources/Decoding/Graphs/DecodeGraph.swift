import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// The CUDA graphs of one or more sequences' steps, one graph for each kind of step.
///
/// A step reads its tokens, positions and phase from device memory, and writes there the inputs of the next step, with
/// the tokens that it has sampled: steps can follow each other without the host. The sequences are at positions of their
/// own, but at the same phase of the cycle. The first step of a kind runs without a graph, since it allocates memory and
/// compiles kernels; a kind is captured again where a cache has moved.
final class DecodeGraph {
  /// Which layers a step runs.
  enum Kind: Hashable {
    /// All of them, for one token of each sequence.
    case allLayers
    /// All of them, the thinking layers for the tokens of a whole cycle.
    case head
    /// The encoding and the decoding layers, for one token of each sequence.
    case inCycle
  }

  /// A token that a step appends to a sequence.
  typealias Addition = (token: TokenID, position: Int)

  private struct CapturedStep {
    let launch: () throws -> Void
    /// The caches' revisions at the capture.
    let revisions: [Int]
  }

  /// How the steps sample.
  let sampler: GraphSampler

  private let model: LanguageModel
  private let caches: [SequenceKVCache]
  private let groups: ModelConfiguration.DirectDecoding.Groups?
  private let cycle: Int
  private let capture: CUDAGraph.Capturer
  private var steps: [Kind: CapturedStep] = [:]
  private var hasRun: Set<Kind> = []
  private var unsupported: Set<Kind> = []

  // Inputs and outputs of the steps; R is the number of sequences.
  private let inputs: Tensor
  /// `[1, R]`, `[R]`, `[R]` and `[1]`: a step adds the increments to the positions, 0 for an idle row.
  private let tokens, positions, increments, phase: Tensor
  /// The tokens `[R]` that the last step has sampled, or -1 where logits were not finite.
  private let sampled: Tensor
  /// The logits `[R, V]` after the last step.
  let logits: Tensor
  /// Encoder states of the tokens after the last heads, `[R, cycle-1, n, C]`; nil before the first.
  private var pending: Tensor?

  /// Steps for sequences of one model with cycles of one length; nil where they have no cache, are more than the
  /// kernels take, or the model has n-gram memory, whose hashes are of tokens on the host.
  init?(
    _ sessions: [DecodingSession], sampling options: SamplingOptions, among allowedTokens: AllowedTokens?,
    capture: @escaping CUDAGraph.Capturer
  ) throws {
    caches = sessions.compactMap(\.cache)
    guard let first = sessions.first, caches.count == sessions.count, sessions.count <= Kernels.maximumStepPositions,
      first.model.configuration.ngramMemory == nil,
      sessions.allSatisfy({ $0.cycle == first.cycle && ($0.groups == nil) == (first.groups == nil) })
    else { return nil }
    (model, groups, cycle, self.capture) = (first.model, first.groups, first.cycle, capture)
    let (device, count, vocabularySize) = (model.weights.device, caches.count, model.configuration.vocabularySize)
    inputs = .zeros([3 * count + 1], .int64, on: device)
    tokens = inputs.slice(0, 0..<count).unsqueezed(0)
    positions = inputs.slice(0, count..<(2 * count))
    increments = inputs.slice(0, (2 * count)..<(3 * count))
    phase = inputs.slice(0, (3 * count)...)
    sampled = .zeros([count], .int64, on: device)
    logits = .zeros([count, vocabularySize], .float32, on: device)
    sampler = try withTorch {
      GraphSampler(options, among: allowedTokens, rows: count, of: vocabularySize, on: device)
    }
  }

  /// Runs a step that `canRun` and that appends a token to each sequence, nil for an idle row; false where it has to
  /// run without graphs all the same.
  func run(_ kind: Kind, _ additions: [Addition?], phase: Int) throws -> Bool {
    let values =
      additions.map { Int64($0?.token ?? 0) } + additions.map { Int64($0?.position ?? idlePosition) }
      + additions.map { $0 == nil ? 0 : 1 } + [Int64(phase)]
    try withTorch { inputs.copy(from: Tensor(values)) }
    return try run(kind, at: additions.map { $0?.position })
  }

  /// Runs a step that appends the tokens that the last one has sampled; false where it has to run without graphs. The
  /// positions are those after the last step's.
  func replay(_ kind: Kind, at positions: [Int?]) throws -> Bool {
    guard canRun(kind, at: positions) else { return false }
    return try run(kind, at: positions)
  }

  /// Starts to read the tokens that the last step has sampled.
  func readSampledTokens() throws -> AsyncReadback { try AsyncReadback(sampled) }

  /// A sequence's pending encoder states after `count` steps since a head, `[1, count, n, C]`.
  func pending(_ count: Int, of row: Int) -> Tensor? {
    pending.map { $0.slice(0, row..<(row + 1)).slice(1, 0..<count) }
  }

  /// Sets a sequence's pending encoder states, after steps without graphs.
  func setPending(_ states: Tensor, of row: Int) {
    allocatePending(like: states)
    pending(states.size(1), of: row)?.copy(from: states)
  }

  /// Whether a graph may run a step, as far as is known before it runs.
  func canRun(_ kind: Kind, at positions: [Int?]) -> Bool {
    !unsupported.contains(kind) && zip(caches, positions).allSatisfy { $0.capacity > $1 ?? idlePosition }
  }

  /// Where an idle row writes: its cache is empty, and the thinking layers process the positions of a whole cycle.
  private var idlePosition: Int { cycle - 1 }

  private func allocatePending(like states: Tensor) {
    guard pending == nil, states.rank == 4 else { return }
    pending = .zeros(
      [caches.count, max(cycle - 1, 1), states.size(2), states.size(3)], states.dtype, on: states.device)
  }

  /// Runs a step whose inputs are set; false where it has to run without graphs.
  private func run(_ kind: Kind, at positions: [Int?]) throws -> Bool {
    try sampler.prepareStep()
    let isDone: Bool
    if hasRun.insert(kind).inserted {
      isDone = try withTorch { perform(kind) }
    } else {
      let revisions = caches.map(\.revision)
      if steps[kind]?.revisions != revisions {
        steps[kind] = capture(model.weights.device, { self.perform(kind) })
          .map { CapturedStep(launch: $0, revisions: revisions) }
      }
      isDone = steps[kind] != nil
      try steps[kind]?.launch()
    }
    guard isDone else {
      unsupported.insert(kind)
      return false
    }
    for case (let cache, let position?) in zip(caches, positions) {
      if kind == .inCycle, let groups {
        cache.advance(to: position + 1, layers: groups.encoding)
        cache.advance(to: position + 1, layers: groups.decoding)
      } else {
        cache.advance(to: position + 1, layers: 0..<model.configuration.layerCount)
      }
    }
    return true
  }

  /// One step; false where a part of it has no kernel that reads positions from the device.
  private func perform(_ kind: Kind) -> Bool {
    let cache = GraphKVCache(caches, at: positions)
    let context = ForwardContext(positions: positions, configuration: model.configuration, cache: cache)
    guard let groups, kind != .allLayers else {
      finish(model.trunk(tokens, in: context))
      return !cache.isUnsupported
    }
    let encoded = model.run(groups.encoding, from: model.embedded(tokens, in: context), in: context)
    var gated = encoded
    if kind == .head {
      guard let thought = thought(encoded.transposed(0, 1), groups.thinking),
        let gate = try? CycleGate(phases: phase.unsqueezed(0), model.configuration)
      else { return false }
      gated = gate(encoded: encoded, thought: thought)
    } else {
      allocatePending(like: encoded)
      pending?.indexCopy(phase + -1, axis: 1, from: encoded.transposed(0, 1))
    }
    finish(model.run(groups.decoding, from: gated, in: context))
    return !cache.isUnsupported
  }

  /// The thinking layers' output at heads `[R, 1, n, C]`, `[1, R, n, C]`; nil where they have no kernel for it. Each
  /// sequence's pending encoder states and its head are one causal block; a pass takes as many blocks as the kernels do.
  private func thought(_ heads: Tensor, _ layers: Range<Int>) -> Tensor? {
    let blocks = cycle == 1 ? heads : .concatenate([pending ?? heads, heads], axis: 1)
    let blockPositions = positions.unsqueezed(1) + Tensor.range((1 - cycle)..<1, on: heads.device)
    let blocksOfPass = max(1, Kernels.maximumStepPositions / cycle)
    var thought: [Tensor] = []
    for first in stride(from: 0, to: caches.count, by: blocksOfPass) {
      let rows = first..<min(first + blocksOfPass, caches.count)
      let positions = blockPositions.slice(0, rows)
      let cache = GraphKVCache(Array(caches[rows]), at: positions.select(1, 0).contiguous())
      let context = ForwardContext(
        positions: positions.flattened(), configuration: model.configuration, cache: cache)
      let states = model.run(layers, from: blocks.slice(0, rows).flattened(0, 1).unsqueezed(0), in: context)
      guard !cache.isUnsupported else { return nil }
      thought.append(states.reshaped(rows.count, cycle, states.size(2), states.size(3)).select(1, cycle - 1))
    }
    return .concatenate(thought).unsqueezed(0)
  }

  /// Computes the logits, samples, and sets the inputs of the next step.
  private func finish(_ states: Tensor) {
    logits.copy(from: model.logits(of: states).squeezed(0))
    sampled.copy(from: sampler(logits, after: tokens.squeezed(0)))
    tokens.copy(from: sampled.maskedFill(sampled .< 0, 0))
    positions.copy(from: positions + increments)
    phase.copy(from: (phase + 1).remainder(by: cycle))
  }
}

/// The caches of sequences whose positions are stored on the device.
final class GraphKVCache: KVCache {
  private let caches: [SequenceKVCache]
  private let positions: Tensor
  /// Whether an operation was called that needs the positions on the host.
  private(set) var isUnsupported = false

  /// - Parameter positions: where each sequence's new positions begin, `[R]`.
  init(_ caches: [SequenceKVCache], at positions: Tensor) {
    (self.caches, self.positions) = (caches, positions)
  }

  func reservePositions(layer: Int, count: Int, heads: Int, headSize: Int, like activations: Tensor) -> KVCacheViews {
    // Tests run steps on the CPU, which never captures: its kernels take the positions from the host.
    let isOnHost = positions.device == .cpu
    let starts =
      isOnHost ? (try? CUDAGraph.$isCapturing.withValue(false) { try positions.elements(Int64.self) }) ?? [] : []
    let views = caches.indices.compactMap { row in
      caches[row].view(layer: layer, from: isOnHost ? Int(starts[row]) : 0, count: count / caches.count)
    }
    return KVCacheViews(views, starts: isOnHost ? nil : positions)
  }

  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    isUnsupported = true
    return queries
  }
}
