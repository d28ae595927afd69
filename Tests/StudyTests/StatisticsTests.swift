import Testing

@testable import WidebandStudy

struct StatisticsTests {
  private func isClose(_ a: Double?, _ b: Double) -> Bool { a.map { abs($0 - b) < 1e-12 } ?? false }

  @Test("the standard error is the sample standard deviation over √n")
  func summary() throws {
    let summary = try #require(Summary([1, 2, 4]))
    // Mean 7/3; squares of deviations 42/9, over n − 1 and over n: 7/9.
    #expect(isClose(summary.mean, 7.0 / 3))
    #expect(isClose(summary.standardError, (7.0 / 9).squareRoot()))
    #expect(summary.count == 3)
  }

  @Test("one value has no standard error, none has no summary, and values that are not finite do not count")
  func fewValues() throws {
    let one = try #require(Summary([2.5]))
    #expect(one.mean == 2.5 && one.standardError == nil && one.count == 1)
    #expect(Summary([]) == nil)
    #expect(Summary([.nan, .infinity, 2.5]) == one)
  }

  @Test("t is the mean of differences over its standard error")
  func paired() throws {
    // Differences 2, 1, 3: standard deviation 1.
    let paired = try #require(PairedDifference([(3, 1), (5, 4), (4, 1)]))
    #expect(isClose(paired.difference.mean, 2))
    #expect(isClose(paired.difference.standardError, 1 / 3.0.squareRoot()))
    #expect(isClose(paired.t, 2 * 3.0.squareRoot()))
    #expect(paired.difference.count == 3)
  }

  @Test("one pair and equal differences have no t")
  func pairedWithoutSpread() throws {
    let one = try #require(PairedDifference([(3, 1)]))
    #expect(one.difference.standardError == nil && one.t == nil)
    let equal = try #require(PairedDifference([(3, 1), (4, 2)]))
    #expect(equal.difference.standardError == 0 && equal.t == nil)
    #expect(PairedDifference([]) == nil)
  }

  @Test("the line of least squares, with the error of its slope")
  func line() throws {
    // Means 1 and 8/3, slope 3/2, residuals −1/6, 1/3, −1/6.
    let fit = try #require(LineFit([(0, 1), (1, 3), (2, 4)]))
    #expect(isClose(fit.slope, 1.5) && isClose(fit.intercept, 7.0 / 6))
    #expect(isClose(fit.slopeError, (1.0 / 12).squareRoot()))
    #expect(fit.count == 3)
    let two = try #require(LineFit([(0, 1), (2, 2)]))
    #expect(isClose(two.slope, 0.5) && two.slopeError == nil)
    #expect(LineFit([(1, 1), (1, 2)]) == nil && LineFit([]) == nil)
  }

  @Test("a curve is a straight line between its points and nothing outside")
  func curve() {
    let curve = Curve(points: [(10, 4), (20, 3), (40, 2)])
    #expect(curve.value(at: 10) == 4 && curve.value(at: 15) == 3.5 && curve.value(at: 40) == 2)
    #expect(curve.value(at: 9) == nil && curve.value(at: 41) == nil)
    #expect(curve.firstX(reaching: 3.5) == 15 && curve.firstX(reaching: 2.5) == 30)
    #expect(curve.firstX(reaching: 5) == 10 && curve.firstX(reaching: 1.9) == nil)
    #expect(Curve(points: []).value(at: 1) == nil && Curve(points: []).firstX(reaching: 1) == nil)
  }
}
