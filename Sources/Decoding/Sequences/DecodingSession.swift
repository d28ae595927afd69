import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// One sequence of tokens that a model decodes, with its key/value cache.
///
///     let session = try DecodingSession(model)
///     var logits = try session.prefill([464, 3290])
///     logits = try session.append(318)
///
/// With a `cycle` the model decodes directly: every token runs through the encoding and the decoding layers, and the
/// thinking layers run once a cycle. The gate is open at every token of a prompt; the first token appended after it is
/// a cycle head, and so is every `cycle`-th token from there. Between heads only each token's encoder state is stored;
/// the thinking layers process them in one causal block with the next head, or with the next prompt, so that they
/// write the keys and values of every position exactly once. Ordinary decoding has cycles of one token and no layer
/// split: every token runs through all layers.
///
/// The logits equal those of one pass over the whole sequence with the same gate. Source: arXiv 2510.11958.
public final class DecodingSession {
  /// All tokens so far.
  public private(set) var tokens: [TokenID] = []
  /// The phase of each token: 0 at cycle heads, 1 … cycle-1 after them, `CycleGate.promptPhase` in prompts.
  ///
  /// The keys and values of the decoding layers depend on it: with these phases a prefill of the same tokens gives the
  /// same logits.
  public private(set) var phases: [Int] = []
  /// Tokens of a cycle; 1 in ordinary decoding.
  public let cycle: Int

  let model: LanguageModel
  /// The layer groups of direct decoding; nil in ordinary decoding.
  let groups: ModelConfiguration.DirectDecoding.Groups?
  /// Nil where every call recomputes the whole sequence.
  let cache: SequenceKVCache?
  /// Encoder states of the tokens that the thinking layers have not processed, `[1, P, n, C]`; nil for none.
  private(set) var pending: Tensor?
  /// States after the last layer, `[1, T, n, C]`, at the last positions; nil for none, and where they are not kept.
  private(set) var states: Tensor?
  private let keepsStates: Bool
  /// Changes whenever the sequence does.
  private(set) var revision = 0
  /// The cycle head, past or future, from which phases are counted.
  private var anchor = 0

  /// An empty sequence.
  ///
  /// - Parameters:
  ///   - cycle: tokens of a cycle of direct decoding; nil for ordinary decoding.
  ///   - usesCache: whether keys and values are cached. Otherwise every call recomputes the whole sequence, with the
  ///     same logits.
  ///   - cacheFormat: how keys and values are stored; nil for the format that suits the model's weights.
  ///   - capacity: positions that the cache allocates at first.
  /// - Throws: with a cycle, `ConfigurationError` if the model has no layer split, `GenerationError` for a cycle of less
  ///   than one token or of more than the model was tuned for.
  public convenience init(
    _ model: LanguageModel, cycle: Int? = nil, usesCache: Bool = true, cacheFormat: KVCacheFormat? = nil,
    capacity: Int = 64
  ) throws {
    try self.init(
      model, cycle: cycle, usesCache: usesCache, cacheFormat: cacheFormat, capacity: capacity, keepsStates: false)
  }

  /// - Parameter keepsStates: whether `states` are kept, for a drafter.
  init(
    _ model: LanguageModel, cycle: Int? = nil, usesCache: Bool = true, cacheFormat: KVCacheFormat?, capacity: Int,
    keepsStates: Bool
  ) throws {
    self.model = model
    self.keepsStates = keepsStates
    self.cycle = cycle ?? 1
    groups = try cycle.map { try model.configuration.layerGroups(cycle: $0) }
    cache = usesCache ? SequenceKVCache(model, format: cacheFormat, capacity: capacity) : nil
  }

  /// The phase of the next token that is appended; 0 in ordinary decoding.
  public var nextPhase: Int { CycleGate.phase(of: tokens.count, anchor: anchor, cycle: cycle) }

  /// Tokens that the thinking layers have not processed yet; 0 in ordinary decoding.
  public var pendingCount: Int { pending?.size(1) ?? 0 }

  /// Appends a prompt, or the next turn of a conversation, and returns the logits `[V]` of the token that follows it,
  /// in float32. It completes an unfinished cycle.
  ///
  /// - Parameters:
  ///   - phases: the phase of each token, to restore a sequence that was decoded before; nil for a prompt. Tokens
  ///     appended later continue the last one's cycle.
  ///   - check: called before every pass; an error that it throws ends the call.
  /// - Throws: `GenerationError` for no tokens, a token outside the vocabulary, and for more tokens than the model's
  ///   context holds; `TorchError`. The sequence then ends with the last complete pass.
  public func prefill(_ new: [TokenID], phases: [Int]? = nil, check: () throws -> Void = {}) throws -> Tensor {
    var logits = Tensor.zeros([0])
    try advance(new, phases: phases, check: check) { states, isLast in
      guard isLast else { return }
      logits = model.logits(of: states.slice(1, (states.size(1) - 1)...)).flattened()
    }
    return logits
  }

  /// Appends a prompt as `prefill` does, and returns the logits `[T, V]` of what follows each of its tokens.
  package func prefillLogits(_ new: [TokenID]) throws -> Tensor {
    var logits: [Tensor] = []
    try advance(new) { states, _ in logits.append(model.logits(of: states).squeezed(0)) }
    return try withTorch { logits.count == 1 ? logits[0] : .concatenate(logits, axis: 0) }
  }

  /// The keys and values of tokens of a prompt, to be restored in a sequence with the same tokens before them.
  package func snapshot(_ range: Range<Int>) throws -> KVSnapshot? { try withTorch { cache?.snapshot(range) } }

  /// Appends tokens of a prompt whose keys and values were computed before.
  package func restore(_ new: [TokenID], from snapshot: KVSnapshot) throws {
    try withTorch { cache?.append(snapshot) }
    commit(new, phases: new.map { _ in CycleGate.promptPhase }, pending: nil, states: nil)
  }

  /// Reserves memory for all positions of an empty sequence.
  package func reserveCapacity(_ count: Int) { cache?.reserveCapacity(count) }

  /// Appends a generated token and returns the logits `[V]` of the token that follows it, in float32.
  ///
  /// - Throws: as `prefill`; the sequence is then unchanged.
  public func append(_ token: TokenID) throws -> Tensor { try Self.append([token], to: [self]).flattened() }

  /// Appends one generated token to each of several sequences in one pass, which reads every weight once, and returns
  /// the logits `[sequences, V]` of the tokens that follow them, in float32. The thinking layers process the sequences
  /// at a cycle head.
  ///
  /// - Throws: `GenerationError` as `prefill`, and for sequences that are not distinct, of one model and all decoded
  ///   directly or all ordinarily; the sequences are then unchanged.
  public static func append(_ tokens: [TokenID], to sessions: [DecodingSession]) throws -> Tensor {
    guard let first = sessions.first, sessions.count == tokens.count,
      sessions.allSatisfy({ $0.model.weights === first.model.weights && ($0.groups == nil) == (first.groups == nil) }),
      Set(sessions.map(ObjectIdentifier.init)).count == sessions.count
    else {
      throw GenerationError.invalidCall(
        "\(tokens.count) tokens for \(sessions.count) sequences: expected one for each sequence of a model")
    }
    let parts = try zip(sessions, tokens).map { session, token in
      try session.model.configuration.requireTokens([token], after: session.tokens.count)
      return DecodePass.Part(session: session, tokens: [token], phases: [session.nextPhase])
    }
    return try DecodePass(parts).run { first.model.logits(of: $0).squeezed(0) }
  }

  /// Appends a sampled token and the drafts after it to each of several sequences in one pass, as tokens of a prompt,
  /// and returns the logits `[T, V]` of what follows each of the T tokens, in float32.
  ///
  /// - Throws: as `prefill`; the sequences are then unchanged.
  package static func verify(_ tokens: [[TokenID]], of sessions: [DecodingSession]) throws -> Tensor {
    let parts = try zip(sessions, tokens).map { session, tokens in
      try session.model.configuration.requireTokens(tokens, after: session.tokens.count)
      return DecodePass.Part(session: session, tokens: tokens, phases: tokens.map { _ in CycleGate.promptPhase })
    }
    return try DecodePass(parts).run { parts[0].session.model.logits(of: $0).squeezed(0) }
  }

  /// Removes all tokens from `count` on. What is appended then continues the cycle of the remaining tokens.
  public func truncate(to count: Int) {
    let remaining = min(tokens.count, max(0, count))
    let processed = min(remaining, tokens.count - pendingCount)
    pending = remaining > processed ? pending?.slice(1, 0..<(remaining - processed)) : nil
    let kept = (states?.size(1) ?? 0) - (tokens.count - remaining)
    states = kept > 0 ? states?.slice(1, 0..<kept) : nil
    tokens.removeLast(tokens.count - remaining)
    phases.removeLast(phases.count - remaining)
    rollback()
  }

  /// Appends tokens in passes of limited length, and calls `body` with the states `[1, T, n, C]` after the last layer
  /// in each pass, and with whether it is the last one.
  func advance(
    _ new: [TokenID], phases: [Int]? = nil, check: () throws -> Void = {},
    _ body: (_ states: Tensor, _ isLast: Bool) throws -> Void
  ) throws {
    guard !new.isEmpty else { throw GenerationError.emptyInput("no tokens to read: expected at least one") }
    let phases = phases ?? new.map { _ in CycleGate.promptPhase }
    guard new.count == phases.count else {
      throw GenerationError.invalidCall("\(phases.count) phases for \(new.count) tokens: expected one for each")
    }
    try model.configuration.requireTokens(new, after: tokens.count)
    let length = cache == nil ? new.count : DecodePass.maximumLength
    for start in stride(from: 0, to: new.count, by: length) {
      try check()
      let range = start..<min(new.count, start + length)
      let part = DecodePass.Part(session: self, tokens: Array(new[range]), phases: Array(phases[range]))
      try DecodePass([part]).run { try body($0, range.upperBound == new.count) }
    }
  }

  /// Appends tokens that a pass has processed, and takes the encoder states that are pending after it.
  ///
  /// - Parameter states: the states to keep, those at the last positions.
  func commit(_ new: [TokenID], phases newPhases: [Int], pending: Tensor?, states: Tensor?) {
    tokens += new
    phases += newPhases
    (self.pending, self.states) = (pending, states)
    rollback()
  }

  /// The states to keep after a pass: those so far, and those at its new positions.
  func states(with new: Tensor) -> Tensor? {
    guard keepsStates else { return nil }
    return states.map { .concatenate([$0, new], axis: 1) } ?? new
  }

  /// Forgets all states but those at the last `count` positions.
  func keepStates(_ count: Int) {
    states = count > 0 ? states.map { $0.slice(1, ($0.size(1) - count)...) } : nil
  }

  /// Truncates the cache to the committed tokens, which removes what a failed pass has written.
  func rollback() {
    revision += 1
    cache?.truncate(to: tokens.count)
    if let groups { cache?.truncate(to: tokens.count - pendingCount, layers: groups.thinking) }
    let last = phases.last ?? CycleGate.promptPhase
    anchor = last == CycleGate.promptPhase ? tokens.count : tokens.count - 1 - last
  }
}

extension ModelConfiguration {
  /// The layer groups for cycles of a length.
  fileprivate func layerGroups(cycle: Int) throws -> DirectDecoding.Groups {
    guard let split = directDecoding else { throw ConfigurationError.missingSplit }
    guard (1...split.cycle).contains(cycle) else {
      throw GenerationError.invalidOption(
        "cycle is \(cycle): expected 1 to \(split.cycle), the longest that the model was tuned for "
          + "(direct_decoding.cycle)")
    }
    return split.groups(layerCount: layerCount)
  }

  /// Refuses tokens outside the vocabulary, and more of them than the context holds after `count` others.
  func requireTokens(_ new: [TokenID], after count: Int) throws {
    if let index = new.firstIndex(where: { $0 < 0 || $0 >= vocabularySize }) {
      throw GenerationError.unknownToken(new[index], position: count + index, vocabularySize: vocabularySize)
    }
    guard new.count <= contextLength - count else {
      throw GenerationError.contextExceeded(tokenCount: count + new.count, contextLength: contextLength)
    }
  }
}
