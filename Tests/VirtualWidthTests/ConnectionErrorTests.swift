import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

/// Operands that do not fit a connection: an error of the scope, without a trap or a read out of bounds.
@Suite struct ConnectionErrorTests {
  private func fresh(_ connections: VirtualWidth.Connections = .dynamic) throws -> GeneralizedHyperConnection {
    try GeneralizedHyperConnection(
      VirtualWidth(fractionRate: 2, slots: 3, connections: connections), slotWidth: 4, epsilon: 1e-6,
      in: WeightStore(seed: 1).root)
  }

  private func error(
    _ kernels: Kernels, _ connections: VirtualWidth.Connections = .dynamic, state: [Int],
    _ sublayer: (Tensor) -> Tensor = { $0 }
  ) throws -> String {
    let connection = try fresh(connections)
    return Kernels.$selected.withValue(kernels) {
      message { _ = connection(.ones(state), around: sublayer) }
    }
  }

  @Test func fusedKernelsNameTheWeightThatDoesNotFit() throws {
    #expect(
      try error(.fused, state: [1, 2, 4, 4])
        == "connection_read(float32[1, 2, 4, 4]): static_alpha [3, 5] does not fit the state: expected [4, 6]")
    #expect(
      try error(.fused, state: [1, 2, 3, 6])
        == "connection_read(float32[1, 2, 3, 6]): dynamic_alpha [5, 4] does not fit the state: expected [5, 6]")
    #expect(try error(.fused, .static, state: [1, 2, 3, 6]) == "no error")
    #expect(
      try error(.fused, .static, state: [1, 0, 2])
        == "connection_read(float32[1, 0, 2]): static_alpha [3, 5] does not fit the state: expected [0, 2]")
  }

  @Test func fusedKernelsNameAnOutputThatDoesNotFit() throws {
    #expect(
      try error(.fused, state: [1, 2, 3, 4]) { $0.slice(-1, 1...) }
        == "connection_write(float32[1, 2, 7]): the sublayer's output [1, 2, 7] does not match its input")
    #expect(
      try error(.fused, state: [1, 2, 3, 4]) { $0.to(.bfloat16) }
        == "connection_write(bfloat16[1, 2, 8]): the sublayer's output [1, 2, 8] does not match its input")
  }

  @Test(arguments: [[1, 2, 4, 4], [1, 2, 3, 6], [1, 2, 1, 4], [4], [2, 0, 4]])
  func composedOperatorsRecordTheirErrors(state: [Int]) throws {
    #expect(try error(.composed, state: state) != "no error")
  }

  @Test func composedOperatorsNameAnOutputThatDoesNotFit() throws {
    #expect(
      try error(.composed, state: [1, 2, 3, 4]) { $0.slice(-1, 1...) }
        == "reshape(float32[1, 2, 7], [1, 2, 2, 4]): shape '[1, 2, 2, 4]' is invalid for input of size 14")
    #expect(
      try error(.composed, state: [1, 2, 3, 4]) { $0.to(.bfloat16) }.hasPrefix(
        "matmul(float32[1, 2, 3, 2], bfloat16[1, 2, 2, 4]): "))
  }

  @Test(arguments: Kernels.allCases) func anEarlierFailurePassesThrough(kernels: Kernels) throws {
    let first = "reshape(float32[6], [7]): shape '[7]' is invalid for input of size 6"
    let connection = try fresh()
    Kernels.$selected.withValue(kernels) {
      #expect(message { _ = connection(Tensor.ones([6]).reshaped(7)) { $0 } } == first)
      #expect(
        message { _ = connection(.ones([1, 2, 3, 4])) { _ in Tensor.ones([6]).reshaped(7) } } == first)
    }
  }
}
