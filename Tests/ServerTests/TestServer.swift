import Foundation
import TestSupport
import Testing
import WidebandCheckedInput
import WidebandDecoding
import WidebandLanguageModel
import WidebandServing
import WidebandTokenization
import WidebandTorch

@testable import WidebandServer

/// A running server of a small model with random weights.
struct TestServer: Sendable {
  let server: APIServer
  let engine: ServingEngine
  let client: TestClient
  let log: Lines

  /// Runs `body` with a server, which is stopped afterwards.
  ///
  /// - Parameter model: the model to serve; nil for ``model``.
  static func with(
    _ change: (inout ServerOptions, inout ServingOptions) -> Void = { _, _ in }, model: LoadedModel? = nil,
    _ body: (TestServer) async throws -> Void
  ) async throws {
    var options = ServerOptions()
    var serving = ServingOptions()
    (options.port, options.drainSeconds) = (0, 0.2)
    change(&options, &serving)
    let engine = try ServingEngine(try model ?? Self.model.get(), options: serving)
    let log = Lines()
    let server = APIServer(engine, options: options) { log.append($0) }
    let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
    let running = Task {
      defer { continuation.finish() }
      try await server.run { continuation.yield($0) }
    }
    guard let port = await ports.first(where: { _ in true }) else { return try await running.value }
    do {
      try await body(TestServer(server: server, engine: engine, client: TestClient(port: port), log: log))
    } catch {
      await server.stop()
      throw error
    }
    await server.stop()
    try await running.value
  }

  /// The context of the model, many times what a server takes as its own unless told otherwise. A test whose request
  /// must not end by itself asks for nearly all of it: tens of seconds of decoding.
  static let longContext = 65_536

  /// The model: random weights, and the tokenizer of the fixtures.
  static let model = Result { () throws -> LoadedModel in
    let tokenizer = try Tokenizer(contentsOf: Fixtures.url("tokenizers/qwen/tokenizer.json"))
    var configuration = ModelConfiguration(
      vocabularySize: tokenizer.vocabularySize, hiddenSize: 16, layerCount: 2, headCount: 4, intermediateSize: 32)
    configuration.keyValueHeadCount = 2
    configuration.contextLength = longContext
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 3))
    return LoadedModel(model: model, tokenizer: tokenizer, endOfTextTokens: [])
  }

  /// Waits until a condition holds, at most a minute.
  func wait(_ condition: (ServingStatistics) -> Bool) async throws -> Bool {
    for _ in 0..<6000 {
      if condition(engine.statistics) { return true }
      try await Task.sleep(for: .milliseconds(10))
    }
    return false
  }
}

/// Expects an error of status 400.
///
/// - Parameters:
///   - parameter: the field that it names; nil for none.
///   - message: a part of its sentence.
func expectInvalid(
  _ response: TestClient.Response, _ parameter: String?, _ message: String = "", _ body: String = "",
  at location: SourceLocation = #_sourceLocation
) {
  let error = response.json["error"]
  let summary: Comment = "\(body.prefix(120)): \(response.status) \(response.text.prefix(400))"
  #expect(response.status == 400, summary, sourceLocation: location)
  #expect(error["type"] == "invalid_request_error", summary, sourceLocation: location)
  #expect(error.has("param") && error["param"] == JSONValue(parameter), summary, sourceLocation: location)
  #expect(message.isEmpty || error["message"].string?.contains(message) == true, summary, sourceLocation: location)
}

/// Lines of a log. The lock guards them.
final class Lines: @unchecked Sendable {
  private let lock = NSLock()
  private var lines: [String] = []

  func append(_ line: String) { lock.withLock { lines.append(line) } }
  var all: [String] { lock.withLock { lines } }
}
