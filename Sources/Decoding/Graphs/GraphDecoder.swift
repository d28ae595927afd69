import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// Runs the steps of certain sequences as CUDA graphs. Some of the sequences may be empty: their rows are idle.
///
/// Steps can follow each other on the device before the host knows the tokens that they have sampled: `replay` runs a
/// step ahead, and `commit` appends its tokens to the sequences once they are known.
final class GraphDecoder {
  private let sessions: [DecodingSession]
  private let graph: DecodeGraph
  /// The rows of the last step that are in use, and the sequences' revisions after it; nil where no step can follow it.
  private var lastStep: (isActive: [Bool], revisions: [Int])?

  /// A decoder for sequences of one model with cycles of one length; nil where they have no cache, or are more than the
  /// kernels take.
  init?(
    _ sessions: [DecodingSession], sampling options: SamplingOptions, among allowedTokens: AllowedTokens?,
    capture: @escaping CUDAGraph.Capturer
  ) throws {
    guard let graph = try DecodeGraph(sessions, sampling: options, among: allowedTokens, capture: capture) else {
      return nil
    }
    (self.sessions, self.graph) = (sessions, graph)
  }

  /// How tokens are sampled.
  var options: SamplingOptions { graph.sampler.options }

  /// The logits `[R, V]` after the last step, which the next one overwrites.
  var logits: Tensor { graph.logits }

  /// Appends tokens, nil for a row that is idle, and samples what follows them on the device with each sequence's
  /// sampler; false where the step has to run without graphs, and nothing has changed.
  ///
  /// - Throws: `GenerationError` as `DecodingSession.append`; `TorchError`.
  func step(_ tokens: [TokenID?], by samplers: [Sampler?]) throws -> Bool {
    lastStep = nil
    let positions = zip(sessions, tokens).map { $1 == nil ? nil : $0.tokens.count }
    guard let (kind, phase) = nextStep(tokens.map { $0 != nil }), graph.canRun(kind, at: positions) else {
      return false
    }
    try graph.sampler.begin(
      zip(sessions, samplers).map { session, sampler in sampler.map { (sampler: $0, tokens: session.tokens) } })
    for case (let session, let token?) in zip(sessions, tokens) {
      try session.model.configuration.requireTokens([token], after: session.tokens.count)
    }
    let additions = zip(sessions, tokens).map { session, token in token.map { ($0, session.tokens.count) } }
    let isDone = try running {
      for (row, session) in sessions.enumerated() {
        if let pending = session.pending { graph.setPending(pending, of: row) }
      }
      return try graph.run(kind, additions, phase: phase)
    }
    guard isDone else { return false }
    commit(tokens)
    lastStep = (tokens.map { $0 != nil }, sessions.map(\.revision))
    return true
  }

  /// Appends the tokens that the last step has sampled, on the device alone until `commit`; false where that step has
  /// to run without graphs, and nothing has changed.
  func replay() throws -> Bool {
    guard let lastStep, lastStep.revisions == sessions.map(\.revision),
      let (kind, _) = nextStep(lastStep.isActive)
    else { return false }
    self.lastStep = nil
    let positions = zip(sessions, lastStep.isActive).map { $1 ? $0.tokens.count : nil }
    guard try running({ try graph.replay(kind, at: positions) }) else { return false }
    self.lastStep = lastStep
    return true
  }

  /// Starts to read the tokens that the last step has sampled, one a row.
  func readSampledTokens() throws -> AsyncReadback { try graph.readSampledTokens() }

  /// The result of `body`; if it fails, the sequences' caches are truncated to their committed tokens.
  func rollingBackOnError<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch {
      lastStep = nil
      for session in sessions { session.rollback() }
      throw error
    }
  }

  /// Appends the tokens of the last step to the sequences, nil for an idle row.
  func commit(_ tokens: [TokenID?]) {
    for (row, (session, token)) in zip(sessions, tokens).enumerated() {
      guard let token else { continue }
      let phase = session.nextPhase
      session.commit([token], phases: [phase], pending: phase == 0 ? nil : graph.pending(phase, of: row), states: nil)
    }
    lastStep?.revisions = sessions.map(\.revision)
  }

  /// The kind and phase of the next step, if it is one for all active rows, and the others are empty.
  private func nextStep(_ isActive: [Bool]) -> (DecodeGraph.Kind, Int)? {
    let active = zip(sessions, isActive).filter(\.1).map(\.0)
    guard let first = active.first, let kind = first.nextStepKind, Kernels.selected == .fused,
      active.allSatisfy({ $0.nextStepKind == kind && $0.nextPhase == first.nextPhase }),
      zip(sessions, isActive).allSatisfy({ $1 || $0.tokens.isEmpty })
    else { return nil }
    return (kind, first.nextPhase)
  }

  /// Runs a step without gradients.
  private func running<Result>(_ step: () throws -> Result) throws -> Result {
    try rollingBackOnError { try withTorch { try withoutGradients(step) } }
  }
}

extension DecodingSession {
  /// The kind of the next step; nil where no graph can run it. A head's step is that of a whole cycle.
  fileprivate var nextStepKind: DecodeGraph.Kind? {
    guard groups != nil else { return .allLayers }
    guard !tokens.isEmpty else { return nil }
    guard nextPhase == 0 else { return pendingCount == nextPhase - 1 ? .inCycle : nil }
    return pendingCount == cycle - 1 ? .head : nil
  }
}
