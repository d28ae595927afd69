import Hummingbird
import WidebandCheckedInput
import WidebandDecoding
import WidebandServing
import WidebandTokenization

/// An error as clients of the OpenAI API expect it.
struct APIError: Error, Equatable, Sendable {
  /// The status of the response, if it has not begun.
  let status: HTTPResponse.Status
  /// One sentence.
  let message: String
  /// The field of the request that is wrong.
  let parameter: String?
  /// What a program can switch on.
  let code: String?

  init(_ status: HTTPResponse.Status, _ message: String, parameter: String? = nil, code: String? = nil) {
    (self.status, self.message, self.parameter, self.code) = (status, message, parameter, code)
  }

  /// An invalid request.
  static func invalid(_ message: String, parameter: String? = nil) -> APIError {
    APIError(.badRequest, message, parameter: parameter)
  }

  /// What the server does not do.
  static func unsupported(_ message: String, parameter: String) -> APIError {
    APIError(.badRequest, message, parameter: parameter, code: "unsupported")
  }

  /// The error that a client receives for an error of the engine, of the request or of the server.
  init(_ error: any Error) {
    switch error {
    case let error as APIError: self = error
    case let error as ServingError: self.init(error)
    case let error as HTTPError:
      let known = error.status == .notFound
      self.init(error.status, known ? "there is nothing at this address" : error.status.reasonPhrase, code: "not_found")
    case is InputError, is TokenizationError, is GenerationError: self = .invalid("\(error)")
    default: self = .internalError
    }
  }

  private init(_ error: ServingError) {
    let message = "\(error)"
    switch error {
    case .queueFull: self.init(.tooManyRequests, message, code: "queue_full")
    case .stopping: self.init(.serviceUnavailable, message, code: "stopping")
    case .contextExceeded: self.init(.badRequest, message, code: "context_length_exceeded")
    case .invalid: self.init(.badRequest, message)
    // What failed is for the log.
    case .failed: self = .internalError
    }
  }

  private static let internalError = APIError(
    .internalServerError, "the server failed to answer: its log says why", code: "internal_error")

  /// A client that has closed its connection, or half-closed it. The status is nginx's.
  static let clientClosed = APIError(
    .init(code: 499, reasonPhrase: "Client Closed Request"), "the client closed the connection before its answer",
    code: "client_closed")

  static let tooLarge = APIError(
    .contentTooLarge, "the request's body is too large: expected at most \(Limit.bodyBytes) bytes", code: "too_large")

  /// Bytes that are not HTTP. The parser's error has a sentence of its own, and none of the bytes.
  static func malformedRequest(_ error: any Error) -> APIError {
    APIError(.badRequest, "the request is not valid HTTP/1.1: \(error)", code: malformedCode)
  }

  fileprivate static let malformedCode = "invalid_http"

  /// The kind of error, by status as OpenAI has it.
  private var type: String {
    switch status.code {
    case 401: "authentication_error"
    case 429: "rate_limit_error"
    case 500...: "server_error"
    default: "invalid_request_error"
    }
  }

  /// The body of the response, and the last event of a stream.
  var json: JSONValue {
    [
      "error": [
        "message": .string(message), "type": .string(type), "param": JSONValue(parameter), "code": JSONValue(code),
      ]
    ]
  }
}

extension Response {
  /// A document.
  static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok) -> Response {
    .text(value.text(), "application/json", status: status)
  }

  /// An error.
  static func error(_ error: APIError) -> Response {
    var response = Response.json(error.json, status: error.status)
    switch error.status.code {
    case 401: response.headers[.wwwAuthenticate] = "Bearer"
    // What is left of the body is not read.
    case 413: response.headers[.connection] = "close"
    case 429, 503: response.headers[.retryAfter] = "1"
    default: break
    }
    // The parser finds no further request after bytes that it does not understand.
    if error.code == APIError.malformedCode { response.headers[.connection] = "close" }
    return response
  }

  /// A text.
  static func text(_ text: String, _ type: String, status: HTTPResponse.Status = .ok) -> Response {
    Response(
      status: status, headers: [.contentType: "\(type); charset=utf-8"],
      body: .init(byteBuffer: ByteBuffer(string: text)))
  }

  /// A file of the page. Nothing may frame it, and no browser may guess another type.
  static func file(_ file: Page) -> Response {
    Response(
      status: .ok,
      headers: [
        .contentType: file.mediaType, .cacheControl: "no-cache", .xContentTypeOptions: "nosniff",
        .contentSecurityPolicy: "frame-ancestors 'none'",
      ], body: .init(byteBuffer: ByteBuffer(bytes: file.content)))
  }
}
