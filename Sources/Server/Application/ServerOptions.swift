/// How a server listens and whom it answers.
public struct ServerOptions: Sendable {
  /// The address to listen at.
  public var host = "127.0.0.1"
  /// The port; 0 for any free one.
  public var port = 8080
  /// The keys of which a client needs one; none for no keys.
  public var keys: [String] = []
  /// The origin whose pages may use the server, or "*"; nil for the server's own page alone.
  public var allowedOrigin: String?
  /// The name of the model in answers.
  public var modelName = "wideband"
  /// Seconds that requests have to end when the server stops.
  public var drainSeconds = 30.0
  /// How long a stream is silent before a comment is sent.
  public var keepAlive = Duration.seconds(5)

  /// How long a client may take nothing of an answer that is ready for it; then its connection is closed.
  public var writeTimeout = Duration.seconds(60)

  /// The defaults.
  public init() {}
}
