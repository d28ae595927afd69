import TestSupport
import Testing
import WidebandTorch

@testable import WidebandVirtualWidth

@Suite struct ConnectionTests {
  private let epsilon = 1e-5

  private func connection(_ width: VirtualWidth, _ C: Int, _ weights: [String: Tensor]) throws
    -> GeneralizedHyperConnection
  {
    try GeneralizedHyperConnection(
      width, slotWidth: C, epsilon: epsilon, in: WeightStore(stored: weights, mutable: true).root)
  }

  @Test(arguments: InitialValuesTests.shapes, [VirtualWidth.Connections.dynamic, .static])
  func freshConnectionsKeepAResidualStream(shape: (Int, Int), kind: VirtualWidth.Connections) throws {
    let (m, n) = shape
    let C = 5
    let random = try RandomTensors(seed: 4)
    let maps = (0..<4).map { _ in random.normal(m * C, m * C, deviation: 0.2) }
    let start = random.normal(2, 3, n, C)
    for kernels in Kernels.allCases {
      try Kernels.$selected.withValue(kernels) {
        var plain = start.slice(-2, 0..<m).flattened(-2).unsqueezed(-2)
        var wide = start
        for (layer, map) in maps.enumerated() {
          // A product's rounding depends on the memory layout of its operand.
          let sublayer = { (x: Tensor) in x.contiguous().linear(map).tanh() }
          let fresh = try GeneralizedHyperConnection(
            VirtualWidth(fractionRate: m, slots: n, connections: kind), slotWidth: C, epsilon: epsilon,
            in: WeightStore(seed: UInt64(layer)).root)
          plain = try withTorch { Residual()(plain, around: sublayer) }
          wide = try withTorch { fresh(wide, around: sublayer) }
        }
        let stream = try withTorch { wide.slice(-2, 0..<m).flattened(-2).unsqueezed(-2) }
        #expect(try stream.elements(Float.self) == plain.elements(Float.self), "\(kernels)")
        // What was added to block j mod m was also added to slot j.
        for slot in m..<n {
          let expected = try withTorch {
            let block = plain.reshaped(2, 3, m, C).select(-2, slot % m) - start.select(-2, slot % m)
            return start.select(-2, slot) + block
          }
          #expect(try relativeError(of: wide.select(-2, slot), to: expected) < 1e-6, "slot \(slot), \(kernels)")
        }
      }
    }
  }

  /// Arbitrary static connections against the sum over all earlier layers, arXiv 2511.11238, equation 13.
  @Test(arguments: [(1, 1), (1, 4), (2, 3), (3, 3), (3, 8)])
  func theUnrolledRecurrenceIsTheNetwork(m: Int, n: Int) throws {
    let (C, depth) = (4, 5)
    let random = try RandomTensors(seed: 5)
    let width = VirtualWidth(fractionRate: m, slots: n, connections: .static)
    let weights = (0..<depth).map { _ in random.connection(width, slotWidth: C) }
    let maps = (0..<depth).map { _ in random.normal(m * C, m * C, deviation: 0.3).to(.float64) }
    let start = random.normal(1, 3, n, C).to(.float64)
    var state = start
    var outputs: [Tensor] = []
    for layer in 0..<depth {
      let connection = try connection(width, C, weights[layer])
      state = try withTorch {
        connection(state) { x in
          outputs.append(x.linear(maps[layer]).tanh())
          return outputs[layer]
        }
      }
    }
    let unrolled = try withTorch {
      var carried = Tensor.identity(n, n, .float64)
      var sum = Tensor.zeros(start.shape, .float64)
      for layer in (0..<depth).reversed() {
        let readCarry = try #require(weights[layer]["static_alpha"]).to(.float64)
        let write = try #require(weights[layer]["static_beta"]).to(.float64)
        sum = sum + carried.matmul(write).matmul(outputs[layer].reshaped(1, 3, m, C))
        carried = carried.matmul(readCarry.slice(1, m...).transposed())
      }
      return sum + carried.matmul(start)
    }
    #expect(try relativeError(of: state, to: unrolled) < 1e-13)
  }

  @Test(arguments: [(1, 1), (1, 4), (2, 3), (4, 4), (3, 8)], Kernels.allCases)
  func dynamicConnectionsFollowTheEquations(shape: (Int, Int), kernels: Kernels) throws {
    let width = VirtualWidth(fractionRate: shape.0, slots: shape.1)
    let C = 6
    let random = try RandomTensors(seed: 6)
    let weights = random.connection(width, slotWidth: C)
    let state = random.normal(2, 3, width.slots, C)
    let connection = try connection(width, C, weights)
    let found = try Kernels.$selected.withValue(kernels) { try withTorch { connection(state) { $0.silu() } } }
    let expected = try withTorch {
      referenceConnection(
        state.to(.float64).flattened(0, 1), weights.mapValues { $0.to(.float64) }, epsilon: epsilon
      ) { $0.silu() }
    }
    #expect(try relativeError(of: found.flattened(0, 1), to: expected) < 2e-6)
  }

  @Test func halfPrecisionStaysClose() throws {
    let width = VirtualWidth(fractionRate: 2, slots: 6)
    let random = try RandomTensors(seed: 7)
    let connection = try connection(width, 8, random.connection(width, slotWidth: 8))
    let state = try withTorch { random.normal(2, 3, 6, 8).to(.bfloat16) }
    let found = try withTorch { connection(state) { $0.silu() } }
    let exact = try withTorch { connection(state.to(.float32)) { $0.silu() } }
    #expect(found.dtype == .bfloat16)
    #expect(try relativeError(of: found, to: exact) < 0.01)
    // The coefficients are those of float32, rounded once.
    let rounded = try withTorch { connection.coefficients(of: state) }
    let wide = try withTorch { connection.coefficients(of: state.to(.float32)) }
    #expect(try areIdentical(rounded.readCarry, withTorch { wide.readCarry.to(.bfloat16) }))
    #expect(try areIdentical(rounded.writeTransposed, withTorch { wide.writeTransposed.to(.bfloat16) }))
  }

  /// A sublayer that does not look at its input cuts neither the carry nor the read off from the derivative.
  @Test(arguments: Kernels.allCases, [true, false])
  func aSublayerMayIgnoreItsInput(kernels: Kernels, hasWeights: Bool) throws {
    let width = VirtualWidth(fractionRate: 2, slots: 3)
    let random = try RandomTensors(seed: 8)
    let weights = random.connection(width, slotWidth: 4)
    let (state, output, direction) = (random.normal(1, 2, 3, 4), random.normal(1, 2, 8), random.normal(1, 2, 3, 4))
    let connection = try connection(width, 4, weights)
    let found = try Kernels.$selected.withValue(kernels) {
      try gradients(of: [state, output]) { leaves in
        (connection(leaves[0]) { _ in hasWeights ? leaves[1] : output } * direction).sum()
      }
    }
    let expected = try gradients(of: [state.to(.float64), output.to(.float64)]) { leaves in
      let fixed = output.to(.float64)
      let next = referenceConnection(
        leaves[0].flattened(0, 1), weights.mapValues { $0.to(.float64) }, epsilon: epsilon
      ) { _ in (hasWeights ? leaves[1] : fixed).flattened(0, 1) }
      return (next * direction.flattened(0, 1)).sum()
    }
    for (one, other) in zip(found, expected) { #expect(try relativeError(of: one, to: other) < 1e-5) }
  }
}
