import LanguageModel
import Torch

/// A text that a model reads token by token: tokens go in, the logits of what follows come out.
///
///     let session = DecodingSession(model)
///     let logits = try session.append([464, 3290])
public final class DecodingSession {
  /// All tokens so far.
  public private(set) var tokens: [Int] = [] { didSet { revision += 1 } }

  let model: LanguageModel
  let cache: KeyValueCache?
  /// Steps that are recorded on the device; nil where nothing is.
  var recorded: RecordedSteps?
  private(set) var revision = 0

  /// Positions of one pass: a longer prompt is read in parts, so that its activations need not fit memory at once.
  private static let passLength = 512

  /// An empty text.
  ///
  /// - Parameters:
  ///   - usesCache: whether keys and values are kept. Otherwise every call computes the whole text anew, which
  ///     gives the same logits.
  ///   - keyValueForm: how keys and values are kept; nil for the form that suits the model's weights.
  ///   - capacity: positions that memory is taken for at once.
  public init(
    _ model: LanguageModel, usesCache: Bool = true, keyValueForm: KeyValueCache.Form? = nil, capacity: Int = 64
  ) {
    self.model = model
    cache =
      usesCache
      ? KeyValueCache(model, form: keyValueForm, capacity: capacity) : nil
    recorded = RecordedWork.recorder(for: model.weights.device).flatMap { RecordedSteps([self], recorder: $0) }
  }

  /// Adds tokens, at least one, and gives the logits `[V]` of the token that follows them, in float32.
  ///
  /// - Parameter check: called before every pass; what it throws ends the call.
  /// - Throws: `GenerationError` for a token outside the vocabulary and for more tokens than the model's context
  ///   holds; `TorchError`. The text then ends where the last complete pass ended.
  public func append(_ new: [Int], check: () throws -> Void = {}) throws -> Tensor {
    if new.count == 1, let recorded {
      try check()
      // The next step writes where this one did.
      if let logits = try RecordedTexts([self], recorded).append(new) {
        return try withTorch { logits.select(0, 0).cloned() }
      }
    }
    var logits = Tensor.zeros([0])
    let end = tokens.count + new.count
    try advance(new, check: check) { states in
      guard tokens.count == end - min(new.count, states.size(1)) else { return }
      logits = model.logits(of: states.slice(1, (states.size(1) - 1)...)).flattened()
    }
    return logits
  }

  /// Adds one token to each of several texts in one pass, which reads every weight once, and gives the logits
  /// `[texts, V]` of what follows them, in float32.
  ///
  /// - Throws: `GenerationError` as `append`, and for texts that do not share a model or are not different ones; the
  ///   texts are then as they were.
  public static func append(_ tokens: [Int], to sessions: [DecodingSession]) throws -> Tensor {
    let model = try commonModel(of: sessions, for: tokens)
    for (session, token) in zip(sessions, tokens) {
      try model.configuration.requireTokens([token], after: session.tokens.count)
    }
    let positions = sessions.map(\.tokens.count)
    let caches = sessions.compactMap(\.cache), device = model.weights.device
    do {
      guard caches.count == sessions.count else {
        let logits = try zip(sessions, tokens).map { try $0.append([$1]) }
        return try withTorch { .stack(logits) }
      }
      let logits = try model.passing(tokens.count) {
        let pass = Pass(
          positions: Tensor(positions.map(Int64.init), on: device), configuration: model.configuration,
          memory: PackedMemory(zip(caches, positions).map { ($0, $1..<($1 + 1)) }))
        let row = Tensor(tokens.map(Int64.init), shape: [1, tokens.count], on: device)
        return model.logits(of: model.trunk(row, in: pass)).squeezed(0)
      }
      for (session, token) in zip(sessions, tokens) { session.tokens.append(token) }
      return logits
    } catch {
      for (session, length) in zip(sessions, positions) { session.truncate(to: length) }
      throw error
    }
  }

  /// Adds tokens in passes of limited length, and lends the states `[1, T, n, C]` after the last layer of each; without
  /// a cache they are those of all tokens.
  func advance(_ new: [Int], check: () throws -> Void, taking take: (Tensor) throws -> Void) throws {
    guard !new.isEmpty else { throw GenerationError("no tokens to read: expected at least one") }
    try model.configuration.requireTokens(new, after: tokens.count)
    var rest = new[...]
    while !rest.isEmpty {
      try check()
      let part = rest.prefix(cache == nil ? rest.count : Self.passLength)
      rest = rest.dropFirst(part.count)
      try computing(part.count) { try take(state(reading: part)) }
      tokens += part
    }
  }

  /// Forgets all tokens from `count` on.
  public func truncate(to count: Int) {
    tokens = Array(tokens.prefix(max(0, count)))
    settle()
  }

  func settle() {
    revision += 1
    cache?.truncate(to: tokens.count)
  }

  /// Runs a pass over some new positions; the cache forgets one that failed halfway.
  private func computing<Result>(_ count: Int, _ pass: () throws -> Result) throws -> Result {
    do { return try model.passing(count, pass) } catch {
      settle()
      throw error
    }
  }

  /// The state `[1, T, n, C]` after the last layer at the new positions; at all positions without a cache.
  private func state(reading new: ArraySlice<Int>) -> Tensor {
    let device = model.weights.device
    func row(_ ids: [Int]) -> Tensor { Tensor(ids.map(Int64.init), shape: [1, ids.count], on: device) }
    guard let cache else {
      let all = row(tokens + new)
      return model.trunk(all, in: Pass(length: all.size(1), configuration: model.configuration, on: device))
    }
    let positions = Tensor.range(tokens.count..<(tokens.count + new.count), on: device)
    let pass = Pass(positions: positions, configuration: model.configuration, memory: cache)
    return model.trunk(row(Array(new)), in: pass)
  }
}

extension DecodingSession: RecordableText {
  var layerGroups: ModelConfiguration.DirectDecoding.Groups? { nil }
  var cycle: Int { 1 }
  var nextKind: RecordedSteps.Kind? { .plain }
  var nextPhase: Int { 0 }
  var pending: Tensor? { nil }
  func confirm(_ token: Int, waiting _: Tensor?) { tokens.append(token) }
}

extension ModelConfiguration {
  /// Refuses tokens outside the vocabulary, and more of them than the context holds behind `count` others.
  func requireTokens(_ new: [Int], after count: Int) throws {
    if let index = new.firstIndex(where: { !(0..<vocabularySize).contains($0) }) {
      throw GenerationError(
        "token id \(new[index]) at position \(count + index): "
          + "expected 0 to \(vocabularySize - 1), as vocab_size is \(vocabularySize)")
    }
    guard new.count <= contextLength - count else {
      throw GenerationError(
        "\(count + new.count) tokens exceed the model's context, which holds \(contextLength) "
          + "(max_position_embeddings)")
    }
  }
}
