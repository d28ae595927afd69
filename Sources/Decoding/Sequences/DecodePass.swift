import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// One forward pass over the new tokens of one or more sequences of a model.
///
/// The tokens of all sequences form one row, so that every weight is read once; only attention treats each sequence
/// separately. Without a layer split all layers run. With one, the thinking layers process the sequences that have a
/// cycle head or a prompt token among their new tokens, together with their pending encoder states, and skip the
/// others.
struct DecodePass {
  /// Maximum positions of one pass over a sequence: a longer prompt takes several passes, which bounds the memory of
  /// activations.
  static let maximumLength = 512

  /// New tokens of one sequence.
  struct Part {
    let session: DecodingSession
    let tokens: [TokenID]
    let phases: [Int]

    /// Whether the thinking layers run.
    var thinks: Bool { phases.contains { $0 < 1 } }
    /// The new tokens' positions.
    var positions: Range<Int> { session.tokens.count..<(session.tokens.count + tokens.count) }
    /// The positions that the thinking layers process if they run.
    var thinkingPositions: Range<Int> { (session.tokens.count - session.pendingCount)..<positions.upperBound }

    /// The token at a position of the sequence, with the new ones.
    func token(at position: Int) -> TokenID {
      position < session.tokens.count ? session.tokens[position] : tokens[position - session.tokens.count]
    }
  }

  /// States `[1, T, n, C]` after the last layer, and each sequence's pending encoder states `[1, P, n, C]`.
  private typealias Output = (states: Tensor, pending: [Tensor?])

  private let parts: [Part]
  private let model: LanguageModel

  /// A pass over parts of different sequences, at least one, all decoded directly or all ordinarily.
  init(_ parts: [Part]) {
    self.parts = parts
    model = parts[0].session.model
  }

  /// Runs the pass, and appends the tokens to their sequences if it and `body` succeed.
  ///
  /// States are kept for drafts of a sequence that has the pass for itself.
  ///
  /// - Parameter body: called with the states `[1, T, n, C]` after the last layer at all new tokens, T in number.
  func run<Result>(_ body: (Tensor) throws -> Result) throws -> Result {
    do {
      let (result, pending, states) = try model.inference(parts.reduce(0) { $0 + $1.tokens.count }) {
        let output = try forward()
        let states = parts.count == 1 ? parts[0].session.states(with: output.states) : nil
        return (try body(output.states), output.pending, states)
      }
      for (part, pending) in zip(parts, pending) {
        part.session.commit(part.tokens, phases: part.phases, pending: pending, states: states)
      }
      return result
    } catch {
      for part in parts { part.session.rollback() }
      throw error
    }
  }

  private func forward() throws -> Output {
    guard parts.allSatisfy({ $0.session.cache != nil }) else {
      let outputs = try parts.map { part in
        try part.session.cache == nil ? Self.recomputed(part) : DecodePass([part]).forward()
      }
      return (Self.joined(outputs.map(\.states)), outputs.flatMap(\.pending))
    }
    let (row, context) = input(parts.map { ($0, $0.positions) })
    guard let groups = parts[0].session.groups else {
      return (model.trunk(row, in: context), parts.map { _ in nil })
    }
    let encoded = model.run(groups.encoding, from: model.embedded(row, in: context), in: context)
      .split(parts.map(\.tokens.count), axis: 1)
    let gated = try gated(encoded, groups.thinking)
    let decoded = model.run(groups.decoding, from: Self.joined(gated), in: context)
    return (decoded, zip(parts, encoded).map { $0.thinks ? nil : Self.withPending($0, $1) })
  }

  /// The input of the decoding layers for each sequence, `[1, T, n, C]`.
  private func gated(_ encoded: [Tensor], _ layers: Range<Int>) throws -> [Tensor] {
    var gated = encoded
    for group in thinkingGroups {
      let blocks = group.map { Self.withPending(parts[$0], encoded[$0]) }
      let (row, context) = input(group.map { (parts[$0], parts[$0].thinkingPositions) })
      model.lookUpMemory(row, in: context)
      let thought = model.run(layers, from: Self.joined(blocks), in: context).split(blocks.map { $0.size(1) }, axis: 1)
      for (index, states) in zip(group, thought) {
        // At the pending positions the layers have written keys and values; only the output at new ones is used.
        let new = states.slice(1, parts[index].session.pendingCount...)
        let phases = Tensor(parts[index].phases.map(Int64.init), on: new.device).unsqueezed(0)
        let gate = try CycleGate(phases: phases, model.configuration)
        gated[index] = gate(encoded: encoded[index], thought: new)
      }
    }
    return gated
  }

  /// The sequences for which the thinking layers run, in groups that run together.
  ///
  /// A sequence brings all positions of its cycle. More of them than the kernels of decoding take would run others,
  /// which round differently: a group has no more, unless a single sequence does, which then has them alone as well.
  private var thinkingGroups: [[Int]] {
    var groups: [[Int]] = []
    var positions = 0
    for index in parts.indices where parts[index].thinks {
      let count = parts[index].thinkingPositions.count
      positions += count
      if groups.isEmpty || positions > Kernels.maximumStepPositions {
        groups.append([])
        positions = count
      }
      groups[groups.count - 1].append(index)
    }
    return groups
  }

  /// The tokens `[1, T]` at some positions of each sequence, the last ones, and the context of a pass over them.
  private func input(_ parts: [(part: Part, positions: Range<Int>)]) -> (tokens: Tensor, context: ForwardContext) {
    let device = model.weights.device
    let segments = parts.compactMap { part, positions in part.session.cache.map { ($0, positions.count) } }
    let positions = parts.flatMap(\.positions).map(Int64.init)
    let context = ForwardContext(
      positions: Tensor(positions, on: device), configuration: model.configuration, cache: BatchedKVCache(segments))
    let tokens = parts.flatMap { part, positions in positions.map { Int64(part.token(at: $0)) } }
    if let reach = model.configuration.ngramMemory?.reach {
      let previous = parts.flatMap { part, positions in
        positions.flatMap { at in (1...reach).map { $0 > at ? -1 : Int64(part.token(at: at - $0)) } }
      }
      context.previousTokens = Tensor(previous, shape: [1, tokens.count, reach], on: device)
    }
    return (Tensor(tokens, shape: [1, tokens.count], on: device), context)
  }

  /// The output for one sequence without a cache: the whole sequence is recomputed.
  private static func recomputed(_ part: Part) throws -> Output {
    let (session, device) = (part.session, part.session.model.weights.device)
    let configuration = session.model.configuration
    let tokens = (session.tokens + part.tokens).map(Int64.init)
    let gate = try session.groups.map { _ in
      let phases = (session.phases + part.phases).map(Int64.init)
      return try CycleGate(phases: Tensor(phases, on: device).unsqueezed(0), configuration)
    }
    let context = ForwardContext(length: tokens.count, configuration: configuration, gate: gate, on: device)
    let states = session.model.trunk(Tensor(tokens, shape: [1, tokens.count], on: device), in: context)
    return (states.slice(1, session.tokens.count...), [nil])
  }

  /// A sequence's pending encoder states, followed by new ones.
  private static func withPending(_ part: Part, _ encoded: Tensor) -> Tensor {
    joined([part.session.pending, encoded].compactMap(\.self))
  }

  private static func joined(_ states: [Tensor]) -> Tensor {
    states.count == 1 ? states[0] : .concatenate(states, axis: 1)
  }
}

extension LanguageModel {
  /// Runs a forward pass over `positionCount` new positions without gradients.
  ///
  /// On the CPU a pass of so few positions that one kernel call runs a sublayer keeps the worker team awake throughout.
  func inference<Result>(_ positionCount: Int, _ forward: () throws -> Result) throws -> Result {
    let usesWorkerTeam =
      positionCount <= Kernels.maximumStepPositions && weights.device == .cpu && Kernels.selected == .fused
    return try withTorch { try withoutGradients { try usesWorkerTeam ? withWorkerTeam(forward) : forward() } }
  }
}
