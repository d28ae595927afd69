import Foundation
import Hummingbird
import WidebandCheckedInput

/// Refuses what pages of other origins can make a browser send to a server of this machine.
///
/// A page whose name its owner binds to 127.0.0.1 (DNS rebinding) is of the server's origin for the browser. It shows
/// its name in the header `Host`. Any page may send some kinds of bodies without asking the server first.
struct BrowserMiddleware: RouterMiddleware {
  /// The address that the server listens at.
  let host: String
  /// Whether requests need a key, which no other page has.
  let needsKey: Bool
  /// The origin whose pages may use the server, or "*"; nil for none.
  let allowedOrigin: String?

  func handle(
    _ request: Request, context: ServerContext, next: (Request, ServerContext) async throws -> Response
  ) async throws -> Response {
    if isLocal, !needsKey, let authority = request.head.authority { try requireLocal(authority) }
    if request.method == .post, isForeign(request), !hasJSON(request) {
      throw APIError(
        .unsupportedMediaType,
        "a page of another origin sends a body that is no JSON: expected 'Content-Type: application/json'",
        code: "unsupported_media_type")
    }
    return try await next(request, context)
  }

  /// Whether other machines cannot connect.
  private var isLocal: Bool { host == "localhost" || host == "::1" || host.hasPrefix("127.") }

  /// - Parameter authority: a name or an address, with or without a port.
  private func requireLocal(_ authority: String) throws {
    let name =
      authority.hasPrefix("[")
      ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" }
    guard ["localhost", "127.0.0.1", "::1", host.lowercased()].contains(name.lowercased()) else {
      throw APIError(
        .forbidden, "the header Host is \(quoted(authority)): expected localhost, 127.0.0.1 or [::1]",
        code: "host_not_allowed")
    }
  }

  /// Whether a page of another origin sends the request, which may not.
  private func isForeign(_ request: Request) -> Bool {
    guard let origin = request.headers[.origin] else { return false }
    let isOwn = request.head.authority.map { origin.hasSuffix("://" + $0) } ?? false
    return !isOwn && allowedOrigin != "*" && allowedOrigin != origin
  }

  private func hasJSON(_ request: Request) -> Bool {
    let type = request.headers[.contentType]?.prefix { $0 != ";" } ?? ""
    return type.trimmingCharacters(in: .whitespaces).lowercased() == "application/json"
  }
}
