import Testing
import WidebandVirtualWidth

@Suite struct WidthTests {
  static let table: [(Int, Int, Int, Int, Double, Bool)] = [
    (1, 1, 24, 24, 1, true), (1, 4, 24, 96, 4, true), (2, 3, 12, 36, 1.5, false), (8, 64, 3, 192, 8, true),
    (4, 4, 6, 24, 1, true), (3, 8, 8, 64, 8.0 / 3, false),
  ]

  @Test(arguments: table)
  func sizes(m: Int, n: Int, slotWidth: Int, width: Int, factor: Double, hasGroupNorm: Bool) {
    let virtual = VirtualWidth(fractionRate: m, slots: n)
    #expect(virtual.slotWidth(hiddenSize: 24) == slotWidth)
    #expect(virtual.width(hiddenSize: 24) == width)
    #expect(virtual.factor == factor)
    #expect((virtual.effectiveReduceNorm == .group) == hasGroupNorm)
    #expect(virtual.problem(hiddenSize: 24) == nil)
  }

  @Test(arguments: [
    (0, 4, "virtual_width.fraction_rate is 0: expected at least 1"),
    (-2, 4, "virtual_width.fraction_rate is -2: expected at least 1"),
    (4, 3, "virtual_width.slots is 3: expected at least fraction_rate, which is 4"),
    (4, -1, "virtual_width.slots is -1: expected at least fraction_rate, which is 4"),
    (5, 7, "virtual_width.fraction_rate is 5: expected a divisor of hidden_size, which is 24"),
    (48, 48, "virtual_width.fraction_rate is 48: expected a divisor of hidden_size, which is 24"),
    (1, 4097, "virtual_width.slots is 4097: expected at most 4096"),
    (1, .max, "virtual_width.slots is 9223372036854775807: expected at most 4096"),
  ])
  func widthsThatDoNotFitSayWhy(m: Int, n: Int, problem: String) {
    #expect(VirtualWidth(fractionRate: m, slots: n).problem(hiddenSize: 24) == problem)
  }
}
