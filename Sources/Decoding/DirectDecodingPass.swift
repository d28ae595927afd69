import LanguageModel
import Torch

/// One pass of new tokens of several texts through a model that decodes directly.
///
/// The tokens of all texts stand side by side in one row, so that every weight is read once; only attention looks at
/// each text by itself. Texts with a head or a prompt among their new tokens run through the thinking layers together
/// with what waits there; the others pass them by.
struct DirectDecodingPass {
  /// New tokens of one text.
  struct Part {
    let session: DirectDecodingSession
    let tokens: [Int]
    let phases: [Int]

    /// Whether the thinking layers run.
    var thinks: Bool { phases.contains { $0 < 1 } }
    /// The new tokens' positions.
    var positions: Range<Int> { session.tokens.count..<(session.tokens.count + tokens.count) }
  }

  /// What a pass made of one text's new tokens.
  struct Outcome {
    /// States `[1, T, n, C]` after the last layer.
    let states: Tensor
    /// What waits for the thinking layers, `[1, P, n, C]`; nil for nothing.
    let pending: Tensor?
  }

  private let parts: [Part]
  private let model: LanguageModel
  private let groups: ModelConfiguration.DirectDecoding.Groups

  /// A pass of at least one part, each of another text with a cache, all of one model.
  init(_ parts: [Part]) {
    self.parts = parts
    model = parts[0].session.model
    groups = parts[0].session.groups
  }

  /// Runs the pass; the texts' caches are longer afterwards.
  func run() throws -> [Outcome] {
    let fresh = pass(parts.map { ($0, $0.positions) })
    let tokens = parts.flatMap(\.tokens).map(Int64.init)
    let row = Tensor(tokens, shape: [1, tokens.count], on: model.weights.device)
    let all = model.run(groups.encoding, from: model.embedded(row), in: fresh)
    let encoded = all.split(parts.map(\.tokens.count), axis: 1)
    let joined = try join(encoded)
    let decoded = model.run(groups.decoding, from: Self.joined(joined), in: fresh)
    return zip(parts, zip(encoded, decoded.split(parts.map(\.tokens.count), axis: 1))).map { part, result in
      let (encoded, states) = result
      return Outcome(states: states, pending: part.thinks ? nil : Self.pending(part, encoded))
    }
  }

  /// What the decoding layers see of each text, `[1, T, n, C]`.
  private func join(_ encoded: [Tensor]) throws -> [Tensor] {
    let thinking = parts.indices.filter { parts[$0].thinks }
    guard !thinking.isEmpty else { return encoded }
    let blocks = thinking.map { Self.pending(parts[$0], encoded[$0]) }
    let pass = pass(
      thinking.map { index in
        let part = parts[index]
        return (part, (part.session.tokens.count - part.session.pendingCount)..<part.positions.upperBound)
      })
    let thought = model.run(groups.thinking, from: Self.joined(blocks), in: pass).split(
      blocks.map { $0.size(1) }, axis: 1)
    var joined = encoded
    for (index, states) in zip(thinking, thought) {
      // What waited has been written into the cache; its output is of no further use.
      let own = states.slice(1, parts[index].session.pendingCount...)
      let phases = Tensor(parts[index].phases.map(Int64.init), on: own.device).unsqueezed(0)
      let gate = try CycleGate(phases: phases, model.configuration)
      joined[index] = gate(encoded: encoded[index], thought: own)
    }
    return joined
  }

  private func pass(_ texts: [(part: Part, positions: Range<Int>)]) -> Pass {
    let device = model.weights.device
    let segments = texts.compactMap { part, positions in part.session.cache.map { ($0, positions) } }
    let positions = Tensor(texts.flatMap(\.positions).map(Int64.init), on: device)
    return Pass(positions: positions, configuration: model.configuration, memory: PackedMemory(segments))
  }

  /// The outcome for one text without a cache: everything is computed from the beginning.
  static func recomputed(_ part: Part) throws -> Outcome {
    let session = part.session
    let tokens = (session.tokens + part.tokens).map(Int64.init)
    let device = session.model.weights.device
    let phases = Tensor((session.phases + part.phases).map(Int64.init), on: device).unsqueezed(0)
    let gate = try CycleGate(phases: phases, session.model.configuration)
    let pass = Pass(length: tokens.count, configuration: session.model.configuration, gate: gate, on: device)
    let states = session.model.trunk(Tensor(tokens, shape: [1, tokens.count], on: device), in: pass)
    return Outcome(states: states.slice(1, session.tokens.count...), pending: nil)
  }

  /// What waits of a text, and the new states behind it.
  private static func pending(_ part: Part, _ encoded: Tensor) -> Tensor {
    joined([part.session.pending, encoded].compactMap(\.self))
  }

  private static func joined(_ states: [Tensor]) -> Tensor {
    states.count == 1 ? states[0] : .concatenate(states, axis: 1)
  }
}
