import Foundation

/// A range of numbers along one side of a chart, and round numbers in it.
struct ReportAxis {
  private let lower: Double
  private let upper: Double
  /// Where the grid lines are.
  let ticks: [Double]
  private let places: Int

  /// - Parameter roundsUp: whether the axis is extended to whole intervals between ticks.
  init(_ least: Double, _ most: Double, roundsUp: Bool) {
    let span = most > least ? most - least : max(abs(least), 1) * 0.1
    let rough = span / 5
    let power = pow(10, log10(rough).rounded(.down))
    let factor = [1, 2, 2.5, 5, 10].first { $0 * power >= rough } ?? 10
    // Steps are whole numbers, and so are their ticks.
    let interval = roundsUp ? factor * power : max(1, (factor * power).rounded())
    lower = (least / interval).rounded(.down) * interval
    let end = lower + max(1, ((max(most, least) - lower) / interval).rounded(.up)) * interval
    upper = roundsUp ? end : max(most, lower + 1)
    places = (0...6).first { abs((interval * pow(10, Double($0))).remainder(dividingBy: 1)) < 1e-6 } ?? 6
    let count = Int(((upper - lower) / interval + 1e-9).rounded(.down))
    ticks = (0...max(0, count)).map { [lower] in lower + Double($0) * interval }
  }

  /// Where a number lies: 0 at the lower end, 1 at the upper.
  func position(_ value: Double) -> Double { (value - lower) / (upper - lower) }

  /// A tick in words.
  func label(_ value: Double) -> String { decimal(value, places) }
}
