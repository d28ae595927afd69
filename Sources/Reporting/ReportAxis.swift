import Foundation
import WidebandCheckedInput

/// An axis of a chart: a range of values and round ticks.
struct ReportAxis {
  private let lower: Double
  private let upper: Double
  /// The values of the grid lines.
  let ticks: [Double]
  private let interval: Double

  /// Values beyond these bounds are clamped, as differences of larger ones overflow.
  private static let bounds = -1e300...1e300

  /// - Parameter roundsUp: whether the axis ends at a tick.
  init(_ minimum: Double, _ maximum: Double, roundsUp: Bool) {
    let minimum = Self.bounded(minimum), maximum = max(Self.bounded(maximum), minimum)
    // A span below the precision of the values has no distinct ticks.
    let span = max(maximum - minimum, max(abs(minimum), abs(maximum)) * 1e-9)
    let rough = (maximum > minimum ? span : max(abs(minimum), 1) * 0.1) / 5
    let power = pow(10, log10(rough).rounded(.down))
    let factor = [1, 2, 2.5, 5, 10].first { $0 * power >= rough } ?? 10
    // Steps are integers, and so are their ticks.
    let interval = roundsUp ? factor * power : max(1, (factor * power).rounded())
    let lower = (minimum / interval).rounded(.down) * interval
    let end = lower + max(1, ((maximum - lower) / interval).rounded(.up)) * interval
    upper = roundsUp ? end : max(maximum, lower + 1)
    let count = Int(clamping: ((upper - lower) / interval + 1e-9).rounded(.down), to: 0...20)
    ticks = (0...count).map { lower + Double($0) * interval }
    (self.lower, self.interval) = (lower, interval)
  }

  private static func bounded(_ value: Double) -> Double {
    value.isNaN ? 0 : min(max(value, bounds.lowerBound), bounds.upperBound)
  }

  /// The position of a value: 0 at the lower end of the axis, 1 at the upper.
  func position(_ value: Double) -> Double { (Self.bounded(value) - lower) / (upper - lower) }

  /// The label of a tick.
  func label(_ value: Double) -> String {
    guard (1e-6..<1e15).contains(interval) else { return String(format: "%.3g", value) }
    let places = (0...6).first { abs((interval * pow(10, Double($0))).remainder(dividingBy: 1)) < 1e-6 } ?? 6
    return decimal(value, places)
  }
}
