import Foundation
import WidebandCheckedInput

extension Report {
  /// The table of results, with one row per run, compared to the first run.
  var resultsTable: String {
    let reference = runs.first?.validationBitsPerByte.last?.value
    let rows = runs.enumerated().map { index, run in
      let bits = run.validationBitsPerByte.last?.value
      let change = index == 0 ? nil : bits.flatMap { bits in reference.map { bits - $0 } }
      let cells = [
        bits.map { decimal($0, 4) }, change.map { ($0 > 0 ? "+" : "−") + decimal(abs($0), 4) },
        run.validationLoss.map { decimal($0, 4) }, run.parameters.map(grouped),
        run.tokensPerSecond.map { $0.isFinite ? grouped(Int(clamping: $0)) : "\($0)" }, run.peakMemory.map(memory),
      ]
      let name = "<th scope=\"row\">\(ReportChart.swatch(index))\(escaped(run.name))</th>"
      return "<tr>\(name)\(cells.map { "<td>\($0 ?? "–")</td>" }.joined())</tr>"
    }
    let heads = [
      "Bits per byte<br><small>held-out text</small>", "Against the first", "Loss<br><small>held-out, nats</small>",
      "Parameters", "Tokens<br><small>per second</small>", "Memory<br><small>at most</small>",
    ]
    return table(heads: ["Run"] + heads, rows: rows, caption: "Results of \(runs.count) runs")
  }

  /// The samples of all runs, with highlighted prompts.
  var samples: String {
    runs.enumerated().filter { !$0.element.samples.isEmpty }.map { index, run in
      let texts = run.samples.map {
        "<blockquote><b>\(escaped($0.prompt))</b>\(escaped($0.continuation))</blockquote>"
      }
      return "<h3>\(ReportChart.swatch(index))\(escaped(run.name))</h3>\n\(texts.joined(separator: "\n"))"
    }.joined(separator: "\n")
  }

  /// The table of configurations, with one row per key and one column per run; rows in which runs differ are
  /// highlighted.
  var configurationTable: String {
    var keys: [String] = []
    for run in runs { for entry in run.configuration where !keys.contains(entry.key) { keys.append(entry.key) } }
    guard !keys.isEmpty else { return "" }
    let rows = keys.map { key in
      let values = runs.map { run in run.configuration.first { $0.key == key }?.value }
      let differs = Set(values).count > 1
      let cells = values.map { "<td>\($0.map(escaped) ?? "–")</td>" }.joined()
      return
        "<tr\(differs ? " class=\"differs\"" : "")><th scope=\"row\"><code>\(escaped(key))</code></th>\(cells)</tr>"
    }
    let heads = ["Key"] + runs.map { escaped($0.name) }
    let note = runs.count > 1 ? "<p>Where the runs differ, the row stands out.</p>\n" : ""
    return note + "<div class=\"words\">\(table(heads: heads, rows: rows, caption: "Configuration"))</div>"
  }
}

/// A table in a frame that scrolls on narrow screens.
func table(heads: [String], rows: [String], caption: String) -> String {
  let head = heads.map { "<th scope=\"col\">\($0)</th>" }.joined()
  return """
    <div class="scroll" role="region" aria-label="\(escaped(caption))" tabindex="0"><table>
    <thead><tr>\(head)</tr></thead>
    <tbody>
    \(rows.joined(separator: "\n"))
    </tbody>
    </table></div>
    """
}

/// A number with a fixed number of decimals; in scientific notation from 10¹⁵ on.
public func decimal(_ value: Double, _ places: Int) -> String {
  // The sign of NaN has no meaning.
  guard value.isFinite else { return value.isNaN ? "nan" : "\(value)" }
  return abs(value) < 1e15 ? String(format: "%.\(places)f", value) : String(format: "%.3g", value)
}

/// An integer with thin spaces between thousands.
func grouped(_ value: Int) -> String {
  var digits = String(value.magnitude)
  var groups: [Substring] = []
  while digits.count > 3 {
    groups.insert(digits.suffix(3), at: 0)
    digits.removeLast(3)
  }
  return (value < 0 ? "−" : "") + ([digits[...]] + groups).joined(separator: "\u{202F}")
}

private func memory(_ bytes: Int) -> String {
  bytes < 1_000_000_000
    ? "\(decimal(Double(bytes) / 1e6, 0))\u{202F}MB" : "\(decimal(Double(bytes) / 1e9, 2))\u{202F}GB"
}
