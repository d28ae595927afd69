import LanguageModel
import Torch

/// The steps of one text, each kind recorded once and then run in one go.
///
/// A step reads its token, position and phase from the device's memory, and leaves there those of the step behind it,
/// with the most probable token: steps can follow each other without the processor knowing what was chosen. The first step
/// of a kind does the same without a recording, since it takes memory and compiles kernels; where the cache has moved, a
/// kind is recorded again.
final class RecordedSteps {
  /// Which layers a step runs.
  enum Kind: Hashable {
    /// All of them, for one token.
    case plain
    /// All of them, the thinking layers for the tokens of a whole cycle.
    case head
    /// The encoding and the decoding layers, for one token.
    case inCycle
  }

  private struct Step {
    let run: () throws -> Void
    let revision: Int
  }

  private let model: LanguageModel
  private let cache: KeyValueCache
  private let groups: ModelConfiguration.DirectDecoding.Groups?
  private let cycle: Int
  private let record: RecordedWork.Recorder
  private var steps: [Kind: Step] = [:]
  private var seen: Set<Kind> = []
  private var isPossible = true

  // Where the steps read and write.
  private let token, position, phase: Tensor
  private let inputs: Tensor
  /// The most probable token behind the last step, or -1 if its logits were not finite.
  private let chosen: Tensor
  private let logits: Tensor
  /// What the encoding layers made of the tokens behind the last head, `[1, cycle-1, n, C]`; nil before it was needed.
  private var waiting: Tensor?

  /// Tokens from 0 that may be the most probable; nil for all.
  var choices: Int? {
    didSet { if choices != oldValue { steps = [:] } }
  }
  /// The position for which the inputs lie ready on the device; nil for none.
  private(set) var readyPosition: Int?
  /// How many steps were run from a recording.
  private(set) var runCount = 0

  /// Steps for a text whose keys and values `cache` keeps.
  ///
  /// - Parameters:
  ///   - groups: the model's layers, where it decodes directly.
  ///   - cycle: tokens of a cycle; 1 for the ordinary model.
  init(
    _ model: LanguageModel, _ cache: KeyValueCache, groups: ModelConfiguration.DirectDecoding.Groups? = nil,
    cycle: Int = 1, recorder: @escaping RecordedWork.Recorder
  ) {
    (self.model, self.cache, self.groups, self.cycle) = (model, cache, groups, cycle)
    record = recorder
    let device = model.weights.device
    inputs = .zeros([3], .int64, on: device)
    (token, position, phase) = (inputs.slice(0, 0..<1), inputs.slice(0, 1..<2), inputs.slice(0, 2..<3))
    chosen = .zeros([1], .int64, on: device)
    logits = .zeros([model.configuration.vocabularySize], .float32, on: device)
  }

  /// Adds a token and gives the logits `[V]` of the one behind it, which the next step overwrites; nil where the step has
  /// to be taken in the ordinary way.
  func append(_ kind: Kind, _ token: Int, at position: Int, phase: Int = 0) throws -> Tensor? {
    readyPosition = nil
    guard isPossible, cache.capacity > position else { return nil }
    try withTorch { inputs.copy(from: Tensor([token, position, phase].map(Int64.init))) }
    return try run(kind, at: position) ? logits : nil
  }

  /// Adds the token that the last step found the most probable; false where the step has to be taken in the ordinary way.
  func appendChosen(_ kind: Kind, at position: Int) throws -> Bool {
    guard readyPosition == position, isPossible, cache.capacity > position else { return false }
    return try run(kind, at: position)
  }

  /// Has what the last step left on the device count for nothing: the text went on in another way.
  func forget() { readyPosition = nil }

  /// The most probable token behind the last step, on its way.
  func readChosen() throws -> Reading { try Reading(chosen) }

  /// What waits for the thinking layers after `count` steps behind a head, `[1, count, n, C]`.
  func waiting(_ count: Int) -> Tensor? { waiting.map { $0.slice(1, 0..<count) } }

  /// Takes over what waits after steps in the ordinary way.
  func takeWaiting(_ states: Tensor) {
    makeRoom(like: states)
    waiting?.slice(1, 0..<states.size(1)).copy(from: states)
  }

  private func makeRoom(like states: Tensor) {
    guard waiting == nil, states.rank == 4 else { return }
    waiting = .zeros([1, max(cycle - 1, 1), states.size(2), states.size(3)], states.dtype, on: states.device)
  }

  /// Takes a step whose inputs lie ready; false where it has to be taken in the ordinary way.
  private func run(_ kind: Kind, at position: Int) throws -> Bool {
    readyPosition = nil
    if seen.insert(kind).inserted {
      isPossible = try withTorch { perform(kind) }
    } else {
      if steps[kind]?.revision != cache.revision {
        steps[kind] = record(model.weights.device, { self.perform(kind) }).map {
          Step(run: $0, revision: cache.revision)
        }
      }
      isPossible = steps[kind] != nil
      try steps[kind]?.run()
    }
    guard isPossible else { return false }
    let end = position + 1
    if kind == .inCycle, let groups {
      cache.advance(to: end, layers: groups.encoding)
      cache.advance(to: end, layers: groups.decoding)
    } else {
      cache.advance(to: end, layers: 0..<model.configuration.layerCount)
    }
    if steps[kind] != nil { runCount += 1 }
    readyPosition = end
    return true
  }

  /// One step; false where a part of it has no kernel that takes its position from the device.
  private func perform(_ kind: Kind) -> Bool {
    let (memory, row) = (RecordedMemory(cache, at: position), token.unsqueezed(0))
    let pass = Pass(positions: position, configuration: model.configuration, memory: memory)
    guard let groups, kind != .plain else {
      finish(model.trunk(row, in: pass))
      return !memory.isLacking
    }
    let encoded = model.run(groups.encoding, from: model.embedded(row), in: pass)
    var joined = encoded
    var thinking: RecordedMemory?
    if kind == .head {
      let first = position + (1 - cycle)
      let block = cycle == 1 ? encoded : .concatenate([waiting(cycle - 1) ?? encoded, encoded], axis: 1)
      let own = RecordedMemory(cache, at: first)
      let all = Pass(
        positions: first + Tensor.range(0..<cycle, on: encoded.device), configuration: model.configuration, memory: own)
      let thought = model.run(groups.thinking, from: block, in: all).slice(1, (cycle - 1)...)
      thinking = own
      guard let gate = try? CycleGate(phases: phase.unsqueezed(0), model.configuration) else { return false }
      joined = gate(encoded: encoded, thought: thought)
    } else {
      makeRoom(like: encoded)
      waiting?.copyRows(phase + -1, axis: 1, from: encoded)
    }
    finish(model.run(groups.decoding, from: joined, in: pass))
    return !memory.isLacking && !(thinking?.isLacking ?? false)
  }

  /// The logits, and the inputs of the step behind this one.
  private func finish(_ states: Tensor) {
    let scores = model.logits(of: states).flattened()
    logits.copy(from: scores)
    let next = scores.slice(0, 0..<(choices ?? scores.size(0))).argmax(0, keep: true)
    let isFinite = scores.sum().isFinite()
    chosen.copy(from: next.masked(isFinite.not(), -1))
    token.copy(from: next)
    position.copy(from: position + 1)
    phase.copy(from: (phase + 1).remainder(by: cycle))
  }
}

/// The cache of a text whose position lies on the device.
private final class RecordedMemory: KeyValueMemory {
  private let cache: KeyValueCache
  private let position: Tensor
  /// Whether something was asked for that knows the position on the processor alone.
  private(set) var isLacking = false

  init(_ cache: KeyValueCache, at position: Tensor) {
    (self.cache, self.position) = (cache, position)
  }

  func extended(layer: Int, by count: Int, heads: Int, headSize: Int, like activations: Tensor) -> [KeptText] {
    cache.recorded(layer: layer, by: count, at: position)
  }

  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    isLacking = true
    return queries
  }
}
