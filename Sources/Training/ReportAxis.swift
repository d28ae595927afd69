import CheckedInput
import Foundation

/// A range of numbers along one side of a chart, and round numbers in it.
struct ReportAxis {
  private let lower: Double
  private let upper: Double
  /// Where the grid lines are.
  let ticks: [Double]
  private let interval: Double

  /// Numbers beyond it are drawn at the edge: differences of larger ones overflow.
  private static let bounds = -1e300...1e300

  /// - Parameter roundsUp: whether the axis is extended to whole intervals between ticks.
  init(_ least: Double, _ most: Double, roundsUp: Bool) {
    let least = Self.bounded(least), most = max(Self.bounded(most), least)
    // What differs by less than numbers are exact to has no intervals.
    let span = max(most - least, max(abs(least), abs(most)) * 1e-9)
    let rough = (most > least ? span : max(abs(least), 1) * 0.1) / 5
    let power = pow(10, log10(rough).rounded(.down))
    let factor = [1, 2, 2.5, 5, 10].first { $0 * power >= rough } ?? 10
    // Steps are integers, and so are their ticks.
    let interval = roundsUp ? factor * power : max(1, (factor * power).rounded())
    let lower = (least / interval).rounded(.down) * interval
    let end = lower + max(1, ((most - lower) / interval).rounded(.up)) * interval
    upper = roundsUp ? end : max(most, lower + 1)
    let count = Int(clamping: ((upper - lower) / interval + 1e-9).rounded(.down), to: 0...20)
    ticks = (0...count).map { lower + Double($0) * interval }
    (self.lower, self.interval) = (lower, interval)
  }

  private static func bounded(_ value: Double) -> Double {
    value.isNaN ? 0 : min(max(value, bounds.lowerBound), bounds.upperBound)
  }

  /// Where a number is: 0 at the lower end, 1 at the upper.
  func position(_ value: Double) -> Double { (Self.bounded(value) - lower) / (upper - lower) }

  /// A tick in words.
  func label(_ value: Double) -> String {
    guard (1e-6..<1e15).contains(interval) else { return String(format: "%.3g", value) }
    let places = (0...6).first { abs((interval * pow(10, Double($0))).remainder(dividingBy: 1)) < 1e-6 } ?? 6
    return decimal(value, places)
  }
}
