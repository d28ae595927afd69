import LanguageModel
import Torch

/// A text that a model decodes directly: every token runs through the encoding and decoding layers, the thinking
/// layers run once a cycle.
///
///     let session = try DirectDecodingSession(model, cycle: 4)
///     var logits = try session.read([464, 3290])
///     logits = try session.append(318)
///
/// In what is read the gate is open everywhere; the first token appended after it is a cycle head, and so is every
/// `cycle`-th from there. Tokens between heads wait with what the encoding layers made of them. The next head, or the
/// next prompt, takes them through the thinking layers in one causal block with itself, so that each position's keys
/// and values are written there exactly once. The logits are those of a pass over the whole text with the same gate.
public final class DirectDecodingSession {
  /// All tokens so far.
  public private(set) var tokens: [Int] = [] { didSet { revision += 1 } }
  /// The phase of each token: 0 at heads, 1 … cycle-1 behind them, `CycleGate.promptPhase` in prompts.
  ///
  /// What the decoding layers keep of a token depends on it: a text that is read anew must be replayed with these.
  public private(set) var phases: [Int] = []
  /// Tokens of a cycle.
  public let cycle: Int

  let model: LanguageModel
  let groups: ModelConfiguration.DirectDecoding.Groups
  /// Nil where every call computes the whole text anew.
  let cache: KeyValueCache?
  /// Steps that are recorded on the device; nil where nothing is.
  var recorded: RecordedSteps?
  private(set) var revision = 0
  /// What the encoding layers made of the tokens that the thinking layers have not seen, `[1, P, n, C]`; nil for none.
  private(set) var pending: Tensor?
  /// The head, past or future, from which phases are counted.
  private var anchor = 0

  /// Positions of one pass: a longer prompt is read in parts, so that its activations need not fit memory at once.
  private static let passLength = 512

  /// An empty text.
  ///
  /// - Parameters:
  ///   - cycle: tokens of a cycle; nil for the cycle that the model was tuned for.
  ///   - usesCache: whether keys and values are kept. Otherwise every call computes the whole text anew, which gives
  ///     the same logits.
  ///   - keyValueForm: how keys and values are kept; nil for the form that suits the model's weights.
  ///   - capacity: positions that memory is taken for at once.
  /// - Throws: `ConfigurationError` if the model has no layer split, `GenerationError` for a cycle of less than one
  ///   token or of more than the model was tuned for.
  public init(
    _ model: LanguageModel, cycle: Int? = nil, usesCache: Bool = true, keyValueForm: KeyValueCache.Form? = nil,
    capacity: Int = 64
  ) throws {
    let configuration = model.configuration
    guard let split = configuration.directDecoding else { throw CycleGate.missingSplit }
    let length = cycle ?? split.cycle
    guard (1...split.cycle).contains(length) else {
      throw GenerationError(
        "cycle is \(length): expected 1 to \(split.cycle), the longest that the model was tuned for "
          + "(direct_decoding.cycle)")
    }
    self.cycle = length
    self.model = model
    groups = split.groups(layerCount: configuration.layerCount)
    cache =
      usesCache
      ? KeyValueCache(model, form: keyValueForm, capacity: capacity) : nil
    recorded = RecordedWork.recorder(for: model.weights.device).flatMap { RecordedSteps([self], recorder: $0) }
  }

  /// The phase of the next token that is appended.
  public var nextPhase: Int { CycleGate.phase(of: tokens.count, anchor: anchor, cycle: cycle) }

  /// Tokens that the thinking layers have not seen yet.
  public var pendingCount: Int { pending?.size(1) ?? 0 }

  /// Reads a prompt, or the next turn of a conversation, and gives the logits `[V]` of the token that follows it, in
  /// float32. An unfinished cycle is finished by it.
  ///
  /// - Parameter check: called before every pass; what it throws ends the call.
  /// - Throws: `GenerationError` for no tokens, a token outside the vocabulary, and for more tokens than the model's
  ///   context holds; `TorchError`. The text then ends where the last complete pass ended.
  public func read(_ prompt: [Int], check: () throws -> Void = {}) throws -> Tensor {
    try replay(prompt, phases: prompt.map { _ in CycleGate.promptPhase }, check: check)
  }

  /// Reads tokens with the phases that they had when they were read or generated, and gives the logits `[V]` of the
  /// token that follows them. Appended tokens go on with the last one's cycle.
  ///
  /// - Throws: as `read`.
  public func replay(_ tokens: [Int], phases: [Int], check: () throws -> Void = {}) throws -> Tensor {
    try advance(tokens, phases: phases, check: check)[0].flattened()
  }

  /// Adds a generated token and gives the logits `[V]` of the token that follows it, in float32.
  ///
  /// - Throws: as `read`; the text is then as it was.
  public func append(_ token: Int) throws -> Tensor {
    if let recorded, let logits = try RecordedTexts([self], recorded).append([token]) {
      // The next step writes where this one did.
      return try withTorch { logits.select(0, 0).cloned() }
    }
    return try Self.append([token], to: [self]).flattened()
  }

  /// Adds one generated token to each of several texts in one pass, in which those at a cycle head run through the
  /// thinking layers and the others do not. Gives the logits `[texts, V]`.
  ///
  /// - Throws: `GenerationError` as `append`, and for texts that do not share a model or are not different ones; the
  ///   texts are then as they were.
  public static func append(_ tokens: [Int], to sessions: [DirectDecodingSession]) throws -> Tensor {
    let model = try commonModel(of: sessions, for: tokens)
    let parts = zip(sessions, tokens).map { session, token in
      DirectDecodingPass.Part(session: session, tokens: [token], phases: [session.nextPhase])
    }
    return try model.passing(tokens.count) { model.logits(of: try perform(parts)).squeezed(0) }
  }

  /// Adds tokens in passes of limited length; gives the logits of the last one, or of every one, `[T, V]` in parts.
  func advance(
    _ new: [Int], phases newPhases: [Int], everyToken: Bool = false, check: () throws -> Void = {}
  ) throws -> [Tensor] {
    guard !new.isEmpty else { throw GenerationError("no tokens to read: expected at least one") }
    guard new.count == newPhases.count else {
      throw GenerationError("\(newPhases.count) phases for \(new.count) tokens: expected one for each")
    }
    try model.configuration.requireTokens(new, after: tokens.count)
    var logits: [Tensor] = []
    var start = 0
    while start < new.count {
      try check()
      let range = start..<min(new.count, start + (cache == nil ? new.count : Self.passLength))
      start = range.upperBound
      let part = DirectDecodingPass.Part(session: self, tokens: Array(new[range]), phases: Array(newPhases[range]))
      try model.passing(range.count) {
        let states = try Self.perform([part], everyToken: everyToken)
        if everyToken || start == new.count { logits.append(model.logits(of: states).squeezed(0)) }
      }
    }
    return logits
  }

  /// Forgets all tokens from `count` on; what is appended then goes on with the cycle of what is left.
  public func truncate(to count: Int) {
    let kept = min(tokens.count, max(0, count))
    let thought = min(kept, tokens.count - pendingCount)
    pending = kept > thought ? pending?.slice(1, 0..<(kept - thought)) : nil
    tokens.removeLast(tokens.count - kept)
    phases.removeLast(phases.count - kept)
    settle()
  }

  /// Runs one pass and takes its outcome into the texts; gives states `[1, tokens, n, C]` after the last layer, of
  /// the last token of each text or of every token.
  private static func perform(_ parts: [DirectDecodingPass.Part], everyToken: Bool = false) throws -> Tensor {
    for part in parts {
      try part.session.model.configuration.requireTokens(part.tokens, after: part.session.tokens.count)
    }
    let isWithoutCache = parts.contains { $0.session.cache == nil }
    do {
      let outcomes = try withTorch {
        try isWithoutCache ? parts.map(DirectDecodingPass.recomputed) : DirectDecodingPass(parts).run()
      }
      for (part, outcome) in zip(parts, outcomes) { part.session.take(part, pending: outcome.pending) }
      return .concatenate(
        outcomes.map { everyToken ? $0.states : $0.states.slice(1, ($0.states.size(1) - 1)...) }, axis: 1)
    } catch {
      // What a failed pass wrote is forgotten.
      for part in parts { part.session.settle() }
      throw error
    }
  }

  private func take(_ part: DirectDecodingPass.Part, pending: Tensor?) {
    tokens += part.tokens
    phases += part.phases
    self.pending = pending
    settle()
  }

  /// Brings cache and anchor in line with the tokens.
  func settle() {
    revision += 1
    cache?.truncate(to: tokens.count)
    cache?.truncate(to: tokens.count - pendingCount, layers: groups.thinking)
    let last = phases.last ?? CycleGate.promptPhase
    anchor = last == CycleGate.promptPhase ? tokens.count : tokens.count - 1 - last
  }
}

extension DirectDecodingSession: RecordableText {
  var layerGroups: ModelConfiguration.DirectDecoding.Groups? { groups }

  /// A head's step is that of a whole cycle.
  var nextKind: RecordedSteps.Kind? {
    guard !tokens.isEmpty else { return nil }
    guard nextPhase == 0 else { return pendingCount == nextPhase - 1 ? .inCycle : nil }
    return pendingCount == cycle - 1 ? .head : nil
  }

  func confirm(_ token: Int, waiting: Tensor?) {
    phases.append(nextPhase)
    tokens.append(token)
    pending = waiting
    settle()
  }
}
