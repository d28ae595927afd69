import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

/// Decodes and samples on the device, one step ahead of the tokens that are known to the host.
///
/// The device samples the token of a step itself and stores it as the input of the next one. That step can therefore be
/// launched before the host has read the token, which hides the latency of the readback. Steps are CUDA graphs: one
/// launch replaces hundreds of kernel launches.
///
/// A graph belongs to certain sessions. A sequence that has ended leaves its row idle, and another one may take the same
/// session. Graphs are captured again where a sequence has another session, where a cache has moved, and where no more
/// than half of the rows are in use.
final class RunAheadDecoder {
  private let capture: CUDAGraph.Capturer
  private let allowedTokens: AllowedTokens?
  /// The sessions of the graphs.
  private var sessions: [DecodingSession] = []
  /// The decoder that runs the graphs; nil where no step can be captured.
  private var decoder: GraphDecoder?
  /// The tokens that the last step has sampled, and the identifier of each row's sequence.
  private var inFlight: (readback: AsyncReadback, ids: [Int?])?

  /// A decoder for sequences of a model; nil on a device without CUDA graphs.
  ///
  /// - Parameter allowedTokens: the tokens that may be sampled; nil for all.
  static func make(for model: LanguageModel, allowedTokens: AllowedTokens?) -> RunAheadDecoder? {
    CUDAGraph.capturer(for: model.weights.device).map { RunAheadDecoder(capture: $0, allowedTokens: allowedTokens) }
  }

  init(capture: @escaping CUDAGraph.Capturer, allowedTokens: AllowedTokens?) {
    (self.capture, self.allowedTokens) = (capture, allowedTokens)
  }

  /// Forgets the step in flight, for sequences that do not continue.
  func reset() { inFlight = nil }

  /// The token that follows each sequence's last one, all with the same sampling options; nil for a sequence that joined
  /// while a step of the others was in flight. Nil where no graph can run the step, and nothing has changed.
  ///
  /// - Throws: as `DecodingSession.append` and `Sampler.next`.
  func next(_ sequences: [ActiveSequence]) throws -> [TokenID?]? {
    guard let (readback, ids) = try inFlight ?? start(sequences), let decoder else { return nil }
    let areSame = ids.count { $0 != nil } == sequences.count && sequences.allSatisfy { ids.contains($0.id) }
    let isAhead = try areSame && decoder.replay()
    inFlight = isAhead ? (try decoder.readSampledTokens(), ids) : nil
    return try decoder.rollingBackOnError {
      let sampled = try readback.values().map(TokenID.init(clamping:))
      let tokens: [TokenID?] = try sequences.map { sequence in
        try ids.firstIndex(of: sequence.id).map {
          try sequence.sampler.accept(sampled[$0], after: sequence.session.tokens.count)
        }
      }
      if isAhead { decoder.commit(zip(ids, sampled).map { $0 == nil ? nil : $1 }) }
      return tokens
    }
  }

  /// Launches a step after the sequences' last tokens; nil where no graph can run it.
  private func start(_ sequences: [ActiveSequence]) throws -> (readback: AsyncReadback, ids: [Int?])? {
    try prepare(sequences)
    let rows = sessions.map { session in sequences.first { $0.session === session } }
    guard let decoder, try decoder.step(rows.map { $0?.last }, by: rows.map { $0?.sampler }) else { return nil }
    return (try decoder.readSampledTokens(), rows.map { $0?.id })
  }

  /// Prepares graphs for the sequences' sessions, unless the present ones suit them.
  private func prepare(_ sequences: [ActiveSequence]) throws {
    let suit = sequences.allSatisfy { sequence in sessions.contains { $0 === sequence.session } }
    let options = sequences.first?.sampler.options
    guard !suit || 2 * sequences.count <= sessions.count || decoder.map({ $0.options != options }) ?? false,
      let options
    else { return }
    sessions = sequences.map(\.session)
    decoder = try GraphDecoder(sessions, sampling: options, among: allowedTokens, capture: capture)
  }
}
