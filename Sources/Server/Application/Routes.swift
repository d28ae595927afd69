import Hummingbird
import NIOCore
import WidebandCheckedInput
import WidebandServing

extension APIServer {
  /// All addresses of the server.
  func router() -> Router<ServerContext> {
    let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
    router.add(middleware: OriginMiddleware(allowed: options.allowedOrigin))
    router.add(middleware: RecordMiddleware(metrics: metrics, logger: logger))
    router.add(
      middleware: BrowserMiddleware(
        host: options.host, needsKey: !options.keys.isEmpty, allowedOrigin: options.allowedOrigin))
    let open = Page.files.map(\.path) + ["/health", "/openapi.json"]
    router.add(middleware: KeyMiddleware(keys: options.keys, open: Set(open)))
    for file in Page.files { router.get(.init(file.path)) { _, _ in Response.file(file) } }
    router.get("/engine") { [self] _, _ in Response.json(engine.status(model: options.modelName)) }
    router.get("/health") { [self] _, _ in
      let status: JSONValue = ["status": .string(isReady ? "ok" : "unavailable")]
      return Response.json(status, status: isReady ? .ok : .serviceUnavailable)
    }
    router.get("/metrics") { [self] _, _ in Response.text(metrics.text(engine.statistics), "text/plain; version=0.0.4")
    }
    router.get("/openapi.json") { [self] _, _ in
      Response.text(Description.json(knownTokens: engine.model.knownTokens), "application/json")
    }
    router.get("/v1/models") { [self] _, _ in Response.json(["object": "list", "data": [modelObject]]) }
    router.get("/v1/models/{model}") { [self] _, _ in Response.json(modelObject) }
    router.get("/tokenizer_info") { [self] _, _ in Response.json(tokenizerInfo) }
    router.post("/tokenize") { [self] request, _ in try await tokenize(request) }
    router.post("/detokenize") { [self] request, _ in try await detokenize(request) }
    router.post("/v1/completions") { [self] request, context in try await complete(request, context.record) }
    router.post("/v1/chat/completions") { [self] request, context in try await chat(request, context.record) }
    refuseOtherMethods(
      router, [.get, .head],
      [
        "/", "/health", "/metrics", "/engine", "/openapi.json", "/v1/models", "/v1/models/{model}", "/tokenizer_info",
      ])
    refuseOtherMethods(router, [.post], ["/tokenize", "/detokenize", "/v1/completions", "/v1/chat/completions"])
    return router
  }

  private func refuseOtherMethods(
    _ router: Router<ServerContext>, _ allowed: [HTTPRequest.Method], _ paths: [RouterPath]
  ) {
    let all: [HTTPRequest.Method?] = [.get, .head, .post, .put, .patch, .delete, .trace, .init("QUERY")]
    let names = allowed.map(\.rawValue).joined(separator: ", ")
    for path in paths {
      for method in all.compactMap(\.self) where !allowed.contains(method) {
        router.on(path, method: method) { _, _ -> Response in
          var response = Response.error(
            APIError(.methodNotAllowed, "the method is \(method.rawValue): expected \(names)"))
          response.headers[.allow] = names
          return response
        }
      }
    }
  }

  private var modelObject: JSONValue {
    [
      "id": .string(options.modelName), "object": "model", "created": JSONValue(startTime), "owned_by": "wideband",
      "max_model_len": JSONValue(engine.context),
    ]
  }

  /// What `lm_eval` needs to know about the tokenizer.
  private var tokenizerInfo: JSONValue {
    let tokenizer = engine.model.tokenizer
    func token(_ name: String) -> JSONValue { JSONValue(tokenizer.specialTokens[name]) }
    return [
      "eos_token": token("eos_token"), "bos_token": token("bos_token"), "pad_token": token("pad_token"),
      "chat_template": JSONValue((try? tokenizer.chatTemplate)?.source),
      "vocab_size": JSONValue(tokenizer.vocabularySize),
    ]
  }

  private func tokenize(_ request: Request) async throws -> Response {
    var request = request
    let fields = try await Self.fields(of: &request)
    let text = try fields.string("prompt") ?? fields.required("content") { try $0.string() }
    let addsSpecialTokens = try fields.read("add_special_tokens") { try $0.boolean() } ?? true
    let tokens = try engine.model.tokenizer.encode(text, addingSpecialTokens: addsSpecialTokens)
    return Response.json([
      "tokens": .array(tokens.map { JSONValue(Int($0)) }), "count": JSONValue(tokens.count),
      "max_model_len": JSONValue(engine.context),
    ])
  }

  private func detokenize(_ request: Request) async throws -> Response {
    var request = request
    let model = engine.model
    let tokens = try await Self.fields(of: &request).required("tokens") { try $0.tokens(of: model) }
    return Response.json(["prompt": .string(try model.tokenizer.decode(tokens))])
  }

  /// The members of a request's body, which is read whole.
  static func fields(of request: inout Request) async throws -> RequestFields {
    let length = request.headers[.contentLength].flatMap(Int.init) ?? 0
    if length > Limit.bodyBytes, request.headers[.expect] != nil { throw APIError.tooLarge }
    var body = ByteBuffer()
    var count = 0
    do {
      for try await var part in request.body {
        count += part.readableBytes
        if count <= Limit.bodyBytes { body.writeBuffer(&part) }
        // Many clients read no answer before they have sent everything.
        if count > Limit.discardedBytes { break }
      }
    } catch  where !(error is CancellationError) { throw APIError.malformedRequest(error) }
    guard count <= Limit.bodyBytes else { throw APIError.tooLarge }
    // The connection is still known to it, and tells when the client goes away.
    request.body = RequestBody(buffer: body)
    return try RequestFields(body)
  }
}
