/// A comparison of training runs as one self-contained HTML file.
///
///     try AtomicFile.write(Data(Report(title: "Plain and wide", runs: [plain, wide]).html().utf8), to: url)
///
/// It contains the loss curves as charts and tables, a table of results, the samples, and the configurations. All given
/// text is escaped.
public struct Report: Sendable {
  /// The heading.
  public var title: String
  /// Paragraphs below the heading.
  public var summary: [String]
  /// The runs; the first is the baseline.
  public var runs: [Run]

  /// A value at a step.
  public typealias Point = (step: Int, value: Double)

  /// One run.
  public struct Run: Sendable {
    /// The name of the run.
    public var name: String
    /// Training loss in nats per token, in order of steps.
    public var trainingLoss: [Point] = []
    /// Bits per byte of held-out text, in order of steps.
    public var validationBitsPerByte: [Point] = []
    /// The next-token loss on held-out text at the end, in nats.
    public var validationLoss: Double?
    /// The number of parameters.
    public var parameters: Int?
    /// The training speed in tokens per second.
    public var tokensPerSecond: Double?
    /// The peak memory in bytes.
    public var peakMemory: Int?
    /// Samples of the model: prompts and the generated texts after them.
    public var samples: [(prompt: String, continuation: String)] = []
    /// The configuration, by key.
    public var configuration: [(key: String, value: String)] = []

    /// A run without results.
    public init(name: String) { self.name = name }
  }

  /// A report of the given runs.
  public init(title: String, summary: [String] = [], runs: [Run]) {
    self.title = title
    self.summary = summary
    self.runs = runs
  }

  /// The first characters of every report, by which it can be recognized.
  public static let beginning = "<!DOCTYPE html>"

  /// The content of the HTML file.
  public func html() -> String {
    let last = runs.flatMap { [$0.trainingLoss, $0.validationBitsPerByte] }.compactMap { $0.last?.step }.max() ?? 0
    let training = ReportChart(
      title: "Training loss", valueLabel: "loss, nats per token", last: last, showsMarkers: false,
      series: runs.map { .init(name: $0.name, points: ReportChart.smoothed($0.trainingLoss)) })
    let validation = ReportChart(
      title: "Held-out text", valueLabel: "bits per byte", last: last, showsMarkers: true,
      series: runs.map { .init(name: $0.name, points: $0.validationBitsPerByte.filter(\.value.isFinite)) })
    return """
      \(Self.beginning)
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(escaped(title))</title>
      <style>
      \(ReportStyle.sheet)
      </style>
      </head>
      <body>
      <main>
      <header>
      <h1>\(escaped(title))</h1>
      \(summary.map { "<p>\(escaped($0))</p>" }.joined(separator: "\n"))
      </header>
      \(section("Results", resultsTable))
      <section class="charts" aria-label="Curves">
      \(training.html)
      \(validation.html)
      </section>
      \(section("Samples", samples))
      \(section("Configuration", configurationTable))
      </main>
      </body>
      </html>

      """
  }

  private func section(_ heading: String, _ content: String) -> String {
    content.isEmpty ? "" : "<section>\n<h2>\(heading)</h2>\n\(content)\n</section>"
  }
}

/// Text with the special characters of HTML escaped.
func escaped(_ text: String) -> String {
  let entities: [Unicode.Scalar: String] = ["&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;", "'": "&#39;"]
  return text.unicodeScalars.map { entities[$0] ?? String($0) }.joined()
}
