import Hummingbird
import Logging

/// Turns errors into responses, and logs and counts each request.
struct RecordMiddleware: RouterMiddleware {
  let metrics: ServerMetrics
  let logger: Logger

  func handle(
    _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    var response: Response
    do { response = try await next(request, context) } catch is CancellationError {
      context.record.fail("the client has gone")
      // The client of a half-closed connection reads it.
      response = .error(.clientClosed)
    } catch {
      let failure = APIError(error)
      if failure.status.code >= 500 { context.record.fail(error) }
      response = .error(failure)
    }
    response.headers[.requestID] = context.record.id
    metrics.count(path: context.endpointPath ?? "NotFound", status: response.status.code)
    if !context.record.isStreaming {
      context.record.log(request, status: response.status.code, to: logger)
    }
    return response
  }
}

/// Lets pages of other origins use the server, if they may.
struct OriginMiddleware: RouterMiddleware {
  /// The origin, or "*"; nil for none.
  let allowed: String?

  func handle(
    _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    var response: Response
    if request.method == .options {
      // A browser asks without a key whether it may send one.
      response = Response(status: .noContent)
      response.headers[.accessControlAllowMethods] = "GET, POST, OPTIONS"
      response.headers[.accessControlAllowHeaders] =
        request.headers[.accessControlRequestHeaders] ?? "authorization, content-type"
      response.headers[.accessControlMaxAge] = "600"
    } else {
      response = try await next(request, context)
    }
    guard let allowed else { return response }
    response.headers[.accessControlAllowOrigin] = allowed
    if allowed != "*" { response.headers[values: .vary].append("Origin") }
    return response
  }
}

/// Refuses requests without one of the keys.
struct KeyMiddleware: RouterMiddleware {
  let keys: [String]
  /// Paths that need no key.
  let open: Set<String>

  func handle(
    _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    guard !keys.isEmpty, !open.contains(request.uri.path) else { return try await next(request, context) }
    let scheme = "Bearer "
    let header = request.headers[.authorization] ?? ""
    let given = header.lowercased().hasPrefix(scheme.lowercased()) ? String(header.dropFirst(scheme.count)) : ""
    guard keys.reduce(false, { Self.isEqual($1, given) || $0 }) else {
      throw APIError(
        .unauthorized,
        given.isEmpty ? "an API key is missing: expected 'Authorization: Bearer KEY'" : "the API key is wrong",
        code: "invalid_api_key")
    }
    return try await next(request, context)
  }

  /// Compares in a time that does not depend on where the texts differ.
  private static func isEqual(_ key: String, _ given: String) -> Bool {
    let (key, given) = (Array(key.utf8), Array(given.utf8))
    guard key.count == given.count else { return false }
    return zip(key, given).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
  }
}

extension HTTPFields.Element.Name {
  /// The id of a request in the log.
  static var requestID: Self { Self("x-request-id") ?? .eTag }
  /// Whether nginx gathers an answer before it passes it on.
  static var proxyBuffering: Self { Self("x-accel-buffering") ?? .eTag }
}
