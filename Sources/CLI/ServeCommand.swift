import ArgumentParser
import Foundation
import UnixSignals
import Wideband
import WidebandCheckedInput
import WidebandServer
import WidebandServing

/// `wideband serve`: a server of the OpenAI API.
struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Answer clients of the OpenAI API over HTTP.",
    discussion: """
      The model is loaded before the server listens. SIGTERM or Ctrl-C refuses new requests and lets those that are \
      being answered end; a second one ends at once. There is no TLS: put a proxy in front of the server for that.

      Other users of the machine see --api-key in the list of processes. WIDEBAND_API_KEY in the environment is a key \
      as well, and --api-key-file names a file of keys.

      EXAMPLES:
        wideband serve --model Qwen3-0.6B
        wideband serve --model Qwen3-0.6B --quantize int8 --parallel 8 --api-key-file keys.txt --host 0.0.0.0
        wideband serve --model runs/direct/best --cycle 4
        wideband serve --model runs/wide --draft prediction
      """)

  @Option(help: ArgumentHelp("The model's folder.", valueName: "folder"))
  var model: String
  @Option(help: ArgumentHelp("The address to listen at; 0.0.0.0 for all of the machine's.", valueName: "address"))
  var host = "127.0.0.1"
  @Option(help: ArgumentHelp("The port to listen at; 0 for a free one.", valueName: "number"))
  var port = 8080
  @Option(help: ArgumentHelp("A key that clients must send; may be repeated. Other users see it.", valueName: "key"))
  var apiKey: [String] = []
  @Option(help: ArgumentHelp("A file with keys, one on each line.", valueName: "file"))
  var apiKeyFile: String?
  @Option(help: ArgumentHelp("The origin whose pages may use the server, or '*' for all.", valueName: "origin"))
  var corsOrigin: String?
  @Option(help: ArgumentHelp("The model's name in answers; by default that of its folder.", valueName: "name"))
  var servedModelName: String?
  @Option(help: ArgumentHelp("Sequences that are decoded at the same time.", valueName: "number"))
  var parallel = ServingOptions().parallel
  @Option(
    help: ArgumentHelp(
      "Tokens of a prompt and its answer; by default the model's context, at most 4096.", valueName: "number"))
  var context: Int?
  @Option(help: ArgumentHelp("Requests that may wait for a place.", valueName: "number"))
  var queue = ServingOptions().queue
  @Option(
    help: ArgumentHelp(
      "Memory for the beginnings of earlier prompts, as in 500MB; by default \(ByteCount(ServingOptions().prefixCacheBytes)).",
      valueName: "size"),
    transform: ByteCount.init(parsing:))
  var prefixCache = ByteCount(ServingOptions().prefixCacheBytes)
  @Option(help: ArgumentHelp("Seconds that answers have to end when the server stops.", valueName: "number"))
  var drainTimeout = 30
  @OptionGroup var decoding: DecodingOptions
  @Option(
    help: """
      Draft by the model's multi-token prediction, or by direct decoding, and verify, for a sequence that is decoded \
      alone. Answers are the same.
      """)
  var draft: DraftMethod?
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try requireFlag("--port", port, in: 0...65_535)
    try requireFlag("--parallel", parallel, in: 1...ServingOptions.maximumParallel)
    try requireFlag("--context", context, in: Limits.tokens)
    try requireFlag("--queue", queue, in: 1...100_000)
    try requireFlag("--drain-timeout", drainTimeout, in: 0...86_400)
    if host.isEmpty { throw ValidationError("--host is empty: expected an address") }
    if servedModelName?.isEmpty == true { throw ValidationError("--served-model-name is empty: expected a name") }
    if let corsOrigin, corsOrigin != "*", corsOrigin.wholeMatch(of: /[a-z][a-z0-9+.-]*:\/\/[^\s\/?#@]+/) == nil {
      throw ValidationError("--cors-origin is \(quoted(corsOrigin)): expected '*' or scheme://host[:port]")
    }
    for key in apiKey { try Self.requireKey(key, in: "--api-key") { ValidationError($0) } }
  }

  func run() throws {
    let options = try serverOptions()
    // A port that is taken is known before the model is loaded, which can take minutes.
    try finishing { try await APIServer.requireAddress(of: options) }
    try machine.apply {
      let loaded = try decoding.loadedModel(model, on: machine.device, drafts: draft == .direct)
      let engine = try ServingEngine(loaded, options: servingOptions)
      let server = APIServer(engine, options: options) { StandardError.line($0) }
      try finishing {
        let signals = Task { await Self.stop(server, on: UnixSignalsSequence(trapping: .sigterm, .sigint)) }
        defer { signals.cancel() }
        let summary = ServeSummary(name: options.modelName, engine).text
        // Brackets tell an address of IPv6 from the port.
        let host = options.host.contains(":") ? "[\(options.host)]" : options.host
        try await server.run {
          StandardError.line("listening on http://\(host):\($0)")
          StandardError.line(summary)
        }
      }
    }
  }

  private var servingOptions: ServingOptions {
    var options = ServingOptions()
    options.parallel = parallel
    options.context = context
    options.queue = queue
    options.cycle = decoding.cycle
    options.draftMethod = draft
    options.cacheFormat = decoding.keyValueCache
    options.prefixCacheBytes = prefixCache.bytes
    return options
  }

  private func serverOptions() throws -> ServerOptions {
    var options = ServerOptions()
    options.host = host
    options.port = port
    options.keys = try apiKey + environmentKeys() + fileKeys()
    options.allowedOrigin = corsOrigin
    options.modelName = servedModelName ?? fileURL(model).standardizedFileURL.lastPathComponent
    options.drainSeconds = Double(drainTimeout)
    return options
  }

  private func environmentKeys() throws -> [String] {
    let name = "WIDEBAND_API_KEY"
    guard let key = ProcessInfo.processInfo.environment[name] else { return [] }
    try Self.requireKey(key, in: name) { CommandError($0) }
    return [key]
  }

  private func fileKeys() throws -> [String] {
    guard let apiKeyFile else { return [] }
    let name = printable(path: apiKeyFile)
    guard let text = String(validating: try boundedContents(of: fileURL(apiKeyFile), limit: 1 << 20), as: UTF8.self)
    else { throw CommandError("\(name): is not UTF-8") }
    let keys = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
    guard !keys.isEmpty else { throw CommandError("\(name): has no keys: expected one on each line") }
    for key in keys { try Self.requireKey(key, in: name) { CommandError($0) } }
    return keys
  }

  /// The sentence does not show the key.
  private static func requireKey(_ key: String, in place: String, _ error: (String) -> any Error) throws {
    guard !key.isEmpty, key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw error("\(place): a key is empty or has characters that a header cannot: expected ASCII without spaces")
    }
  }

  /// Stops the server at the first signal, and ends the process at the second.
  private static func stop(_ server: APIServer, on signals: UnixSignalsSequence) async {
    var isStopping = false
    for await _ in signals {
      // Not `exit`: it would run libtorch's destructors while another thread computes.
      if isStopping { _exit(130) }
      isStopping = true
      StandardError.line("stopping after the answers that are being written; once more to leave now")
      Task { await server.stop() }
    }
  }
}
