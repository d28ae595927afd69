import TestSupport
import WidebandCheckedInput
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding

extension RunAheadDecoder {
  /// A decoder whose graphs a stand-in for a GPU captures.
  convenience init(_ device: FakeCapturer, allowedTokens: AllowedTokens? = nil) {
    self.init(capture: device.capture, allowedTokens: allowedTokens)
  }
}

extension SingleTokenIterator {
  /// An iterator that runs ahead on a stand-in for a GPU; nil for one step after the other.
  convenience init(_ session: DecodingSession, allowedTokens: AllowedTokens? = nil, on device: FakeCapturer?) {
    let runAhead = device.map { RunAheadDecoder($0, allowedTokens: allowedTokens) }
    self.init(session, allowedTokens: allowedTokens, runAhead: runAhead)
  }
}

extension GraphDecoder {
  /// A greedy decoder whose graphs a stand-in for a GPU captures.
  convenience init?(_ sessions: [DecodingSession], on device: FakeCapturer) throws {
    try self.init(sessions, sampling: .greedy, among: nil, capture: device.capture)
  }

  /// The logits `[sequences, V]` after a step that appends tokens, nil for an idle row; nil where it has to run without
  /// graphs.
  func append(_ tokens: [TokenID?]) throws -> Tensor? {
    let samplers = try tokens.map { try $0 == nil ? nil : Sampler(.greedy, seed: 0) }
    return try step(tokens, by: samplers) ? withTorch { logits.cloned() } : nil
  }
}

/// A session whose steps run as graphs where they can.
final class GraphSession {
  let session: DecodingSession
  private let decoder: GraphDecoder?

  init(_ session: DecodingSession, on device: FakeCapturer) throws {
    self.session = session
    decoder = try GraphDecoder([session], on: device)
  }

  func append(_ token: TokenID) throws -> Tensor {
    guard let logits = try decoder?.append([token]) else { return try session.append(token) }
    return try withTorch { logits.select(0, 0) }
  }
}
