import Foundation

/// The mean of some values with its standard error.
public struct Summary: Codable, Hashable, Sendable {
  /// The mean.
  public let mean: Double
  /// The sample standard deviation over √n; nil for one value, which says nothing about the spread.
  public let standardError: Double?
  /// n: the number of values.
  public let count: Int

  /// The summary of finite values; nil without any.
  public init?(_ values: [Double]) {
    let values = values.filter(\.isFinite)
    guard !values.isEmpty else { return nil }
    let n = Double(values.count)
    let mean = values.reduce(0) { $0 + $1 / n }
    self.mean = mean
    count = values.count
    standardError =
      values.count > 1 ? (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1) / n).squareRoot() : nil
  }
}

/// The mean of differences of pairs, such as of two arms with the same seed.
public struct PairedDifference: Codable, Hashable, Sendable {
  /// The mean of the first value minus the second, over the pairs.
  public let difference: Summary
  /// Student's t: the mean over its standard error; nil for one pair, and if all differences are equal.
  public let t: Double?

  /// The differences of some pairs; nil without any.
  public init?(_ pairs: [(Double, Double)]) {
    guard let difference = Summary(pairs.map { $0 - $1 }) else { return nil }
    self.difference = difference
    t = difference.standardError.flatMap { $0 > 0 ? difference.mean / $0 : nil }
  }
}

/// The line y = a + b·x of least squares.
public struct LineFit: Codable, Hashable, Sendable {
  /// a: the value at x = 0.
  public let intercept: Double
  /// b: the slope.
  public let slope: Double
  /// The standard error of b, from the residuals with n − 2 degrees of freedom; nil for two points.
  public let slopeError: Double?
  /// n: the number of points.
  public let count: Int

  /// The line through some points; nil unless they have at least two values of x.
  public init?(_ points: [(x: Double, y: Double)]) {
    let n = Double(points.count)
    let meanX = points.reduce(0) { $0 + $1.x / n }, meanY = points.reduce(0) { $0 + $1.y / n }
    let squares = points.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
    guard points.count > 1, squares > 0 else { return nil }
    let slope = points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / squares
    let intercept = meanY - slope * meanX
    let residuals = points.reduce(0) { sum, point in
      let residual = point.y - intercept - slope * point.x
      return sum + residual * residual
    }
    (self.intercept, self.slope, count) = (intercept, slope, points.count)
    slopeError = points.count > 2 ? (residuals / (n - 2) / squares).squareRoot() : nil
  }
}

/// A curve of points in order of x, with straight lines between them.
struct Curve {
  let points: [(x: Double, y: Double)]

  /// The value at x; nil before the first point and after the last.
  func value(at x: Double) -> Double? {
    guard let next = points.firstIndex(where: { $0.x >= x }) else { return nil }
    if points[next].x == x { return points[next].y }
    guard next > 0 else { return nil }
    let (a, b) = (points[next - 1], points[next])
    return a.y + (b.y - a.y) * (x - a.x) / (b.x - a.x)
  }

  /// The x at which the curve first reaches `level` from above; nil if it does not. A curve that begins at or below the
  /// level reaches it at its first point.
  func firstX(reaching level: Double) -> Double? {
    guard let next = points.firstIndex(where: { $0.y <= level }) else { return nil }
    guard next > 0 else { return points[0].x }
    let (a, b) = (points[next - 1], points[next])
    return a.x + (b.x - a.x) * (a.y - level) / (a.y - b.y)
  }
}
