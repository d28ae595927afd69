import Foundation
import WidebandCheckedInput

/// A line chart over training steps as SVG, with its values in a table below.
struct ReportChart {
  /// One line of the chart.
  struct Series {
    let name: String
    let points: [Report.Point]
  }

  private let title: String
  private let valueLabel: String
  private let showsMarkers: Bool
  private let series: [Series]
  private let steps: ReportAxis
  private let values: ReportAxis

  private static let width = 640.0
  private static let height = 380.0
  private static let plot = (left: 64.0, right: 572.0, top: 16.0, bottom: 324.0)

  /// - Parameter last: the last step of the axis.
  init(title: String, valueLabel: String, last: Int, showsMarkers: Bool, series: [Series]) {
    self.title = title
    self.valueLabel = valueLabel
    self.showsMarkers = showsMarkers
    self.series = series
    steps = ReportAxis(0, Double(last), roundsUp: false)
    // The axis leaves out the steep start, which would compress the rest of the curve to a few pixels.
    let start = Double(last) * 0.08
    let shown = series.flatMap { line in
      let late = line.points.filter { Double($0.step) >= start }
      return (late.count >= 2 ? late : line.points).map(\.value)
    }
    values = ReportAxis(shown.min() ?? 0, shown.max() ?? 1, roundsUp: true)
  }

  /// At most 120 means of neighboring points, which removes noise.
  static func smoothed(_ points: [Report.Point]) -> [Report.Point] {
    let finite = points.filter(\.value.isFinite)
    let size = max(1, (finite.count + 119) / 120)
    return stride(from: 0, to: finite.count, by: size).map { start in
      let bucket = finite[start..<min(finite.count, start + size)]
      // Divided first: sums of large numbers overflow.
      let mean = bucket.reduce(0) { $0 + $1.value / Double(bucket.count) }
      return (step: bucket[bucket.startIndex + bucket.count / 2].step, value: mean)
    }
  }

  /// A sample of a run's line, for the legend.
  static func swatch(_ index: Int) -> String {
    "<svg class=\"swatch run\(index % 6)\" viewBox=\"0 0 30 12\" aria-hidden=\"true\">"
      + "<path class=\"line\" d=\"M0 6H30\"/>\(marker(index, 15, 6))</svg>"
  }

  /// The chart; empty if no line has a point.
  var html: String {
    guard series.contains(where: { !$0.points.isEmpty }) else { return "" }
    let legend = series.enumerated().map { "<li>\(Self.swatch($0))\(escaped($1.name))</li>" }.joined()
    let name = title.lowercased().filter { $0.isLetter }
    return """
      <figure>
      <figcaption><h2>\(title)</h2><ul class="legend">\(legend)</ul></figcaption>
      <svg class="chart" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img" aria-labelledby="\(name)">
      <title id="\(name)">\(title): \(valueLabel), against steps. \(escaped(sentence))</title>
      <clipPath id="\(name)-plot"><rect x="\(p(Self.plot.left))" y="\(p(Self.plot.top - 4))" \
      width="\(p(Self.plot.right - Self.plot.left + 6))" height="\(p(Self.plot.bottom - Self.plot.top + 8))"/></clipPath>
      \(grid)
      <g clip-path="url(#\(name)-plot)">
      \(series.indices.map(line).joined(separator: "\n"))
      </g>
      \(endLabels)
      </svg>
      <details><summary>Numbers</summary>
      \(valueTable)
      </details>
      </figure>
      """
  }

  /// The description of the chart for screen readers.
  private var sentence: String {
    series.compactMap { line in
      guard let first = line.points.first, let last = line.points.last else { return nil }
      return "\(line.name) goes from \(decimal(first.value, 3)) at step \(first.step) "
        + "to \(decimal(last.value, 3)) at step \(last.step)."
    }.joined(separator: " ")
  }

  private func x(_ step: Double) -> Double {
    Self.plot.left + steps.position(step) * (Self.plot.right - Self.plot.left)
  }

  private func y(_ value: Double) -> Double {
    Self.plot.bottom - values.position(value) * (Self.plot.bottom - Self.plot.top)
  }

  private var grid: String {
    let (left, right, bottom) = (Self.plot.left, Self.plot.right, Self.plot.bottom)
    var parts = values.ticks.map { value in
      "<path class=\"grid\" d=\"M\(p(left)) \(p(y(value)))H\(p(right))\"/>"
        + "<text x=\"\(p(left - 8))\" y=\"\(p(y(value) + 4))\" text-anchor=\"end\">\(values.label(value))</text>"
    }
    parts += steps.ticks.map { step in
      "<path class=\"axis\" d=\"M\(p(x(step))) \(p(bottom))v5\"/>"
        + "<text x=\"\(p(x(step)))\" y=\"\(p(bottom + 20))\" text-anchor=\"middle\">\(grouped(Int(clamping: step)))</text>"
    }
    let middle = (Self.plot.top + bottom) / 2
    parts.append("<path class=\"axis\" d=\"M\(p(left)) \(p(bottom))H\(p(right))\"/>")
    parts.append("<text x=\"\(p((left + right) / 2))\" y=\"\(p(bottom + 44))\" text-anchor=\"middle\">step</text>")
    parts.append(
      "<text transform=\"translate(14 \(p(middle))) rotate(-90)\" text-anchor=\"middle\">\(valueLabel)</text>")
    return parts.joined(separator: "\n")
  }

  private func line(_ index: Int) -> String {
    let points = series[index].points.map { (x: x(Double($0.step)), y: y($0.value)) }
    let path = points.map { "\(p($0.x)) \(p($0.y))" }.joined(separator: "L")
    let markers = showsMarkers ? points.map { Self.marker(index, $0.x, $0.y) }.joined() : ""
    return "<g class=\"run\(index % 6)\"><path class=\"line\" d=\"M\(path)\"/>\(markers)</g>"
  }

  /// The last value of each line as a label at its end, moved down if it overlaps another label.
  private var endLabels: String {
    let ends = series.enumerated().compactMap { index, line in
      line.points.last.map { (index: index, value: $0.value, x: x(Double($0.step)) + 10) }
    }
    var placed: [(x: Double, y: Double)] = []
    return ends.sorted { $0.value > $1.value }.map { end in
      let above = placed.filter { abs($0.x - end.x) < 50 }.map(\.y).max() ?? -.infinity
      let place = (x: end.x, y: max(above + 15, y(end.value) + 4))
      placed.append(place)
      let label = "<text class=\"end\" x=\"\(p(place.x))\" y=\"\(p(place.y))\">\(decimal(end.value, 3))</text>"
      return "<g class=\"run\(end.index % 6)\">\(label)</g>"
    }.joined(separator: "\n")
  }

  private var valueTable: String {
    let all = Set(series.flatMap { $0.points.map(\.step) }).sorted()
    let columns = series.map { Dictionary($0.points.map { ($0.step, $0.value) }, uniquingKeysWith: { $1 }) }
    let rows = all.map { step in
      let cells = columns.map { "<td>\($0[step].map { decimal($0, 4) } ?? "–")</td>" }.joined()
      return "<tr><th scope=\"row\">\(grouped(step))</th>\(cells)</tr>"
    }
    return table(heads: ["Step"] + series.map { escaped($0.name) }, rows: rows, caption: "\(title): \(valueLabel)")
  }

  /// A marker whose shape distinguishes runs without color.
  private static func marker(_ index: Int, _ x: Double, _ y: Double) -> String {
    switch index % 3 {
    case 0: "<circle cx=\"\(p(x))\" cy=\"\(p(y))\" r=\"3.2\"/>"
    case 1: "<rect x=\"\(p(x - 3))\" y=\"\(p(y - 3))\" width=\"6\" height=\"6\"/>"
    default: "<path class=\"mark\" d=\"M\(p(x)) \(p(y - 4.4))l4.4 4.4l-4.4 4.4l-4.4 -4.4Z\"/>"
    }
  }
}

/// A coordinate with one decimal.
private func p(_ value: Double) -> String { decimal(value, 1) }
