/// A comparison of training runs as one HTML file that needs nothing but a browser.
///
///     try AtomicFile.write(Data(Report(title: "Plain and wide", runs: [plain, wide]).html().utf8), to: url)
///
/// It holds the loss curves as pictures and as numbers, a table of results, what each model wrote, and what the runs
/// were asked for. All text from outside is escaped.
public struct Report: Sendable {
  /// The heading.
  public var title: String
  /// Sentences below it.
  public var summary: [String]
  /// What is compared; the first is what the others are measured against.
  public var runs: [Run]

  /// A value at a step.
  public struct Point: Hashable, Sendable {
    /// The step.
    public var step: Int
    /// The value.
    public var value: Double

    /// A value at a step.
    public init(step: Int, value: Double) {
      self.step = step
      self.value = value
    }
  }

  /// What a model wrote.
  public struct Sample: Hashable, Sendable {
    /// What it was given.
    public var prompt: String
    /// What it wrote behind that.
    public var continuation: String

    /// What a model wrote behind a prompt.
    public init(prompt: String, continuation: String) {
      self.prompt = prompt
      self.continuation = continuation
    }
  }

  /// One run.
  public struct Run: Sendable {
    /// How it is called.
    public var name: String
    /// Training loss in nats per token, in order of steps.
    public var trainingLoss: [Point] = []
    /// Bits per byte of held-out text, in order of steps.
    public var validationBitsPerByte: [Point] = []
    /// The next-token loss on held-out text at the end, in nats.
    public var validationLoss: Double?
    /// The number of trained numbers.
    public var parameters: Int?
    /// Training speed.
    public var tokensPerSecond: Double?
    /// The most memory that was in use, in bytes.
    public var peakMemory: Int?
    /// What the model wrote.
    public var samples: [Sample] = []
    /// What the run was asked for.
    public var configuration: [(key: String, value: String)] = []

    /// A run without results.
    public init(name: String) { self.name = name }
  }

  /// A report.
  public init(title: String, summary: [String] = [], runs: [Run]) {
    self.title = title
    self.summary = summary
    self.runs = runs
  }

  /// What the file of every report begins with.
  public static let beginning = "<!DOCTYPE html>"

  /// The file's text.
  public func html() -> String {
    let last = runs.flatMap { [$0.trainingLoss.last?.step, $0.validationBitsPerByte.last?.step] }.compactMap(\.self)
      .max()
    let training = ReportChart(
      title: "Training loss", valueLabel: "loss, nats per token", last: last ?? 0, showsMarkers: false,
      series: runs.map { .init(name: $0.name, points: ReportChart.smoothed($0.trainingLoss)) })
    let validation = ReportChart(
      title: "Held-out text", valueLabel: "bits per byte", last: last ?? 0, showsMarkers: true,
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
      \(section("What they wrote", samples))
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

/// Text as HTML shows it.
func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
