import TestSupport
import Testing
import WidebandTorch

@testable import WidebandVirtualWidth

@Suite struct InitialValuesTests {
  static let shapes = [(1, 1), (1, 4), (2, 3), (4, 4), (4, 16), (8, 64), (3, 8), (5, 7)]

  /// [A° | Â] as published: the m read columns and the n carry columns are identities.
  private func publishedReadCarry(_ m: Int, _ n: Int) -> [Float] {
    (0..<n).flatMap { row in (0..<(m + n)).map { $0 < m ? ($0 == row ? 1 : 0) : ($0 - m == row ? 1 : 0) } }
  }

  @Test(arguments: shapes) func connectionsStartAsPublished(m: Int, n: Int) throws {
    let C = 6
    let store = WeightStore(seed: 1)
    let connection = try GeneralizedHyperConnection(
      VirtualWidth(fractionRate: m, slots: n), slotWidth: C, epsilon: 1e-6, in: store.root)
    func values(_ name: String) throws -> [Float] { try #require(store.tensors[name]).elements() }
    #expect(try values("static_alpha") == publishedReadCarry(m, n))
    let cyclicWrite = (0..<n).flatMap { slot in (0..<m).map { Float($0 == slot % m ? 1 : 0) } }
    #expect(try values("static_beta") == cyclicWrite)
    #expect(try values("dynamic_alpha") == Array(repeating: 0, count: (m + n) * C))
    #expect(try values("dynamic_beta") == Array(repeating: 0, count: m * C))
    #expect(try values("alpha_scale") == Array(repeating: 1, count: n * (m + n)))
    #expect(try values("beta_scale") == Array(repeating: 1, count: n * m))
    #expect(try values("norm.weight") == Array(repeating: 1, count: C))
    #expect(
      store.tensors.mapValues(\.shape) == [
        "static_alpha": [n, m + n], "static_beta": [n, m], "dynamic_alpha": [m + n, C], "dynamic_beta": [m, C],
        "alpha_scale": [n, m + n], "beta_scale": [n, m], "norm.weight": [C],
      ])
    // The maps are zero: whatever the state, a fresh dynamic connection is the static one.
    let state = try RandomTensors(seed: 2).normal(1, 2, n, C)
    let coefficients = try withTorch { connection.coefficients(of: state) }
    for token in 0..<2 {
      #expect(try coefficients.readCarry.select(0, 0).select(0, token).elements(Float.self) == publishedReadCarry(m, n))
      #expect(try coefficients.writeTransposed.select(0, 0).select(0, token).elements(Float.self) == cyclicWrite)
    }
  }

  @Test("rotating reads: layer l reads group l mod r, without its fraction", arguments: [0, 1, 2, 3, 4])
  func rotatingReads(_ layer: Int) throws {
    var start = InitialValues.standard
    start.read = .rotating
    let store = WeightStore(seed: 1)
    _ = try GeneralizedHyperConnection(
      VirtualWidth(fractionRate: 2, slots: 7), slotWidth: 4, epsilon: 1e-6, start: start, layer: layer, in: store.root)
    let values: [Float] = try #require(store.tensors["static_alpha"]).elements()
    for row in 0..<7 {
      for column in 0..<2 { #expect(values[row * 9 + column] == (row == layer % 3 * 2 + column ? 1 : 0)) }
      for column in 0..<7 { #expect(values[row * 9 + 2 + column] == (row == column ? 1 : 0)) }
    }
  }

  @Test func staticConnectionsHaveNoMaps() throws {
    let store = WeightStore(seed: 1)
    _ = try GeneralizedHyperConnection(
      VirtualWidth(fractionRate: 2, slots: 3, connections: .static), slotWidth: 4, epsilon: 1e-6, in: store.root)
    #expect(Array(store.tensors.keys) == ["static_alpha", "static_beta"])
  }

  private func reduce(_ start: InitialValues.Reduce, wide: Int, _ D: Int) throws -> [[Float]] {
    var values = InitialValues.standard
    values.reduce = start
    let store = WeightStore(seed: 7)
    let tensor = try store.root.tensor("w", [D, wide], values.reduce(wide: wide, hiddenSize: D))
    return try (0..<D).map { try tensor.select(0, $0).elements() }
  }

  @Test func reducePatterns() throws {
    let random = try reduce(.random, wide: 10, 4)
    let identity = (0..<4).map { row in (0..<10).map { Float($0 == row ? 1 : 0) } }
    #expect(try reduce(.identity, wide: 10, 4) == identity)
    // Two and a half groups of four channels: a mean over 2.5.
    #expect(
      try reduce(.average, wide: 10, 4) == (0..<4).map { row in (0..<10).map { Float($0 % 4 == row ? 0.4 : 0) } })
    // The same random numbers as the random start, after an identity.
    #expect(
      try reduce(.identityAndRandom, wide: 10, 4)
        == zip(identity, random).map { Array($0[0..<4]) + Array($1[4...]) })
    #expect(try reduce(.identityAndRandom, wide: 4, 4) == identity.map { Array($0[0..<4]) })
    let flat = try reduce(.random, wide: 400, 50).flatMap { $0 }
    let variance = flat.reduce(0) { $0 + Double($1 * $1) } / Double(flat.count)
    #expect(abs(variance * 400 - 1) < 0.05)
  }

  @Test func expandPatterns() throws {
    func expand(_ start: InitialValues.Expand, wide: Int, _ D: Int) throws -> [Float] {
      var values = InitialValues.standard
      values.expand = start
      return try WeightStore(seed: 7).root.tensor("w", [wide, D], values.expand(wide: wide, hiddenSize: D)).elements()
    }
    let random = try expand(.random, wide: 7, 3)
    #expect(try expand(.identityAndRandom, wide: 7, 3) == [1, 0, 0, 0, 1, 0, 0, 0, 1] + random[9...])
    let flat = try expand(.random, wide: 400, 50)
    let variance = flat.reduce(0) { $0 + Double($1 * $1) } / Double(flat.count)
    #expect(abs(variance * 50 - 1) < 0.05)
  }

  @Test func namesDecideTheNumbers() throws {
    func tensor(_ seed: UInt64, _ name: String) throws -> Tensor {
      try WeightStore(seed: seed).root.tensor(name, [3, 4], .normal(1))
    }
    #expect(try areIdentical(tensor(1, "a"), tensor(1, "a")))
    #expect(try !areIdentical(tensor(1, "a"), tensor(1, "b")))
    #expect(try !areIdentical(tensor(1, "a"), tensor(2, "a")))
  }
}
