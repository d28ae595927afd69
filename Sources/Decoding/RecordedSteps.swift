import LanguageModel
import Torch

/// The steps of one or more texts side by side, each kind recorded once and then run in one go.
///
/// A step reads its tokens, positions and phase from the device's memory, and leaves there those of the step behind it, with
/// the tokens that it chose: steps can follow each other without the processor knowing what was chosen. The texts stand at
/// positions of their own, but at the same place in the cycle. The first step of a kind does the same without a recording,
/// since it takes memory and compiles kernels; where a cache has moved, a kind is recorded again.
final class RecordedSteps {
  /// Which layers a step runs.
  enum Kind: Hashable {
    /// All of them, for one token of each text.
    case plain
    /// All of them, the thinking layers for the tokens of a whole cycle.
    case head
    /// The encoding and the decoding layers, for one token of each text.
    case inCycle
  }

  /// What a step adds to a text.
  typealias Addition = (token: Int, position: Int)

  private struct Step {
    let run: () throws -> Void
    let revisions: [Int]
  }

  private let model: LanguageModel
  private let caches: [KeyValueCache]
  private let groups: ModelConfiguration.DirectDecoding.Groups?
  private let cycle: Int
  private let record: RecordedWork.Recorder
  private var steps: [Kind: Step] = [:]
  private var seen: Set<Kind> = []
  private var impossible: Set<Kind> = []

  // Where the steps read and write; R is the number of texts.
  private let inputs: Tensor
  /// `[1, R]`, `[R]`, `[R]` and `[1]`: a text's position grows by its advance, 0 for a row without a text.
  private let tokens, positions, advances, phase: Tensor
  /// The tokens `[R]` chosen behind the last step, or -1 where logits were not finite.
  private let chosen: Tensor
  /// `[R, V]` behind the last step.
  let logits: Tensor
  /// What the encoding layers made of the tokens behind the last heads, `[R, cycle-1, n, C]`; nil before it was needed.
  private var waiting: Tensor?
  /// How the steps choose; nil where they give logits alone.
  private(set) var choice: RecordedChoice?
  /// How many steps were run from a recording.
  private(set) var runCount = 0

  /// Steps for texts of one model and with cycles of one length; nil where they keep no keys and values, or are more than
  /// the kernels take.
  init?(_ texts: [any RecordableText], recorder: @escaping RecordedWork.Recorder) {
    caches = texts.compactMap(\.cache)
    guard let first = texts.first, caches.count == texts.count, texts.count <= Kernels.mostStepPositions,
      texts.allSatisfy({ $0.cycle == first.cycle })
    else { return nil }
    (model, groups, cycle) = (first.model, first.layerGroups, first.cycle)
    record = recorder
    let (device, count) = (model.weights.device, caches.count)
    inputs = .zeros([3 * count + 1], .int64, on: device)
    tokens = inputs.slice(0, 0..<count).unsqueezed(0)
    positions = inputs.slice(0, count..<(2 * count))
    advances = inputs.slice(0, (2 * count)..<(3 * count))
    phase = inputs.slice(0, (3 * count)...)
    chosen = .zeros([count], .int64, on: device)
    logits = .zeros([count, model.configuration.vocabularySize], .float32, on: device)
  }

  /// Has the steps choose tokens, the allowed ones alone unless they are nil.
  func choose(by options: SamplingOptions, among choices: AllowedTokens?) throws {
    guard choice?.options != options || choice?.choices !== choices else { return }
    (steps, seen) = ([:], [])
    choice = try withTorch {
      RecordedChoice(
        options, among: choices, rows: caches.count, of: model.configuration.vocabularySize, on: model.weights.device)
    }
  }

  /// Takes a step that is possible and adds a token to each text, none where an addition is nil; false where it has to
  /// be taken in the ordinary way all the same.
  func run(_ kind: Kind, _ additions: [Addition?], phase: Int) throws -> Bool {
    let numbers =
      additions.map { $0?.token ?? 0 } + additions.map { $0?.position ?? cycle - 1 }
      + additions.map { $0 == nil ? 0 : 1 }
      + [phase]
    try withTorch { inputs.copy(from: Tensor(numbers.map(Int64.init))) }
    return try run(kind, at: additions.map { $0?.position })
  }

  /// Takes a step that adds the tokens that the last one chose; false where it has to be taken in the ordinary way. The
  /// positions are those behind the last step's.
  func runChosen(_ kind: Kind, at positions: [Int?]) throws -> Bool {
    guard choice != nil, isPossible(kind, at: positions) else { return false }
    return try run(kind, at: positions)
  }

  /// The tokens chosen behind the last step, on their way.
  func readChosen() throws -> Reading { try Reading(chosen) }

  /// What waits of a text for the thinking layers after `count` steps behind a head, `[1, count, n, C]`.
  func waiting(_ count: Int, of row: Int) -> Tensor? {
    waiting.map { $0.slice(0, row..<(row + 1)).slice(1, 0..<count) }
  }

  /// Takes over what waits of a text after steps in the ordinary way.
  func takeWaiting(_ states: Tensor, of row: Int) {
    makeRoom(like: states)
    waiting(states.size(1), of: row)?.copy(from: states)
  }

  private func makeRoom(like states: Tensor) {
    guard waiting == nil, states.rank == 4 else { return }
    waiting = .zeros(
      [caches.count, max(cycle - 1, 1), states.size(2), states.size(3)], states.dtype, on: states.device)
  }

  /// Whether a step may be a recorded one, as far as is known before it is taken.
  ///
  /// A row without a text writes where an empty one keeps nothing, as if it were at the end of its first cycle.
  func isPossible(_ kind: Kind, at positions: [Int?]) -> Bool {
    !impossible.contains(kind) && zip(caches, positions).allSatisfy { $0.capacity > $1 ?? cycle - 1 }
  }

  /// Takes a step whose inputs lie ready; false where it has to be taken in the ordinary way.
  private func run(_ kind: Kind, at positions: [Int?]) throws -> Bool {
    try choice?.prepareStep()
    let isDone: Bool
    if seen.insert(kind).inserted {
      isDone = try withTorch { perform(kind) }
    } else {
      let revisions = caches.map(\.revision)
      if steps[kind]?.revisions != revisions {
        steps[kind] = record(model.weights.device, { self.perform(kind) }).map { Step(run: $0, revisions: revisions) }
      }
      isDone = steps[kind] != nil
      try steps[kind]?.run()
    }
    guard isDone else {
      impossible.insert(kind)
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
    if steps[kind] != nil { runCount += 1 }
    return true
  }

  /// One step; false where a part of it has no kernel that takes its positions from the device.
  private func perform(_ kind: Kind) -> Bool {
    let memory = RecordedMemory(caches, at: positions)
    let pass = Pass(positions: positions, configuration: model.configuration, memory: memory)
    guard let groups, kind != .plain else {
      finish(model.trunk(tokens, in: pass))
      return !memory.isLacking
    }
    let encoded = model.run(groups.encoding, from: model.embedded(tokens), in: pass)
    var joined = encoded
    if kind == .head {
      guard let thought = thought(apart(encoded), groups.thinking),
        let gate = try? CycleGate(phases: phase.unsqueezed(0), model.configuration)
      else { return false }
      joined = gate(encoded: encoded, thought: thought)
    } else {
      makeRoom(like: encoded)
      waiting?.copyRows(phase + -1, axis: 1, from: apart(encoded))
    }
    finish(model.run(groups.decoding, from: joined, in: pass))
    return !memory.isLacking
  }

  /// The texts' states `[1, R, n, C]` as `[R, 1, n, C]`.
  private func apart(_ states: Tensor) -> Tensor { states.transposed(0, 1) }

  /// What the thinking layers make of heads `[R, 1, n, C]` behind what waits of their texts, `[1, R, n, C]`; nil where they
  /// have no kernel for it. As many texts go through them together as the kernels take.
  private func thought(_ heads: Tensor, _ layers: Range<Int>) -> Tensor? {
    let blocks = cycle == 1 ? heads : .concatenate([waiting ?? heads, heads], axis: 1)
    let own = positions.unsqueezed(1) + Tensor.range((1 - cycle)..<1, on: heads.device)
    let together = max(1, Kernels.mostStepPositions / cycle)
    var thought: [Tensor] = []
    for first in stride(from: 0, to: caches.count, by: together) {
      let texts = first..<min(first + together, caches.count)
      let places = own.slice(0, texts)
      let memory = RecordedMemory(Array(caches[texts]), at: places.select(1, 0).contiguous())
      let pass = Pass(positions: places.flattened(), configuration: model.configuration, memory: memory)
      let states = model.run(layers, from: blocks.slice(0, texts).flattened(0, 1).unsqueezed(0), in: pass)
      guard !memory.isLacking else { return nil }
      thought.append(states.reshaped(texts.count, cycle, states.size(2), states.size(3)).select(1, cycle - 1))
    }
    return .concatenate(thought).unsqueezed(0)
  }

  /// The logits, and the inputs of the step behind this one.
  private func finish(_ states: Tensor) {
    logits.copy(from: model.logits(of: states).squeezed(0))
    guard let choice else { return }
    chosen.copy(from: choice(logits, behind: tokens.squeezed(0)))
    tokens.copy(from: chosen.masked(chosen .< 0, 0))
    positions.copy(from: positions + advances)
    phase.copy(from: (phase + 1).remainder(by: cycle))
  }
}

/// The caches of texts whose positions lie on the device.
private final class RecordedMemory: KeyValueMemory {
  private let caches: [KeyValueCache]
  private let positions: Tensor
  /// Whether something was asked for that knows the positions on the processor alone.
  private(set) var isLacking = false

  init(_ caches: [KeyValueCache], at positions: Tensor) {
    (self.caches, self.positions) = (caches, positions)
  }

  func extended(layer: Int, by count: Int, heads: Int, headSize: Int, like activations: Tensor) -> KeptTexts {
    // What runs on the processor is never recorded: it looks now.
    let isHere = positions.device == .cpu
    let starts =
      isHere ? (try? RecordedWork.$isRecording.withValue(false) { try positions.elements(Int64.self) }) ?? [] : []
    let texts = caches.indices.compactMap { text in
      caches[text].kept(layer: layer, from: isHere ? Int(starts[text]) : 0, count: count / caches.count)
    }
    return KeptTexts(texts, starts: isHere ? nil : positions)
  }

  func attend(layer: Int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor {
    isLacking = true
    return queries
  }
}
