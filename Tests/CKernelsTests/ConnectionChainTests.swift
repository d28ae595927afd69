import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch
import WidebandVirtualWidth

/// Connections one after the other, each write in one pass with the next read, against `referenceConnection` in
/// float64, on every vector code.
@Suite struct ConnectionChainTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func neighborsShareAPass(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      Machine.threadCount = 1
      for (index, each) in ConnectionCase.all.enumerated() where each.N > 0 && index.isMultiple(of: 2) {
        let problem = try disagreement(each, seed: UInt64(index))
        #expect(problem == nil, "\(each): \(problem ?? "")")
      }
    }
  }

  @Test func aStateThatIsAskedForInBetweenChangesNothing() throws {
    let chain = try Chain(ConnectionCase(m: 2, n: 5, C: 12, N: 33, kind: .dynamic), seed: 5)
    let (whole, parted) = try (chain.fused(), chain.fused(isWrittenBetween: true))
    for ((name, one), other) in zip(zip(chain.names, whole), parted) {
      #expect(try relativeError(of: one, to: other) < 1e-6, "\(name)")
    }
  }

  @Test func aWriteIsDoneOnce() throws {
    let each = ConnectionCase(m: 2, n: 3, C: 4, N: 5, kind: .dynamic)
    let random = try RandomTensors(seed: 6)
    let weights = FusedConnection.Weights(random.connection(each.width, slotWidth: 4))
    let text = message {
      let write = FusedConnection(reading: random.normal(5, 3, 4), weights, epsilon: 1e-5).map { $0.write($0.input) }
      if let write {
        _ = FusedConnection(reading: write, weights, epsilon: 1e-5)
        _ = write.state
      }
    }
    #expect(text == "connection_write(float32[5, 8]): a connection's write ran twice")
  }

  @Test func aTrainedConnectionMayFollowAFrozenOne() throws {
    let random = try RandomTensors(seed: 8)
    let width = VirtualWidth(fractionRate: 2, slots: 4)
    let (state, frozen) = (random.normal(5, 4, 8), FusedConnection.Weights(random.connection(width, slotWidth: 8)))
    let trained = random.connection(width, slotWidth: 8)
    let names = trained.keys.sorted()
    func slopes(isFused: Bool) throws -> [Tensor] {
      try gradients(of: names.compactMap { trained[$0] }) { leaves in
        let weights = FusedConnection.Weights(Dictionary(uniqueKeysWithValues: zip(names, leaves)))
        let write = FusedConnection(reading: state, frozen, epsilon: 1e-5).map { $0.write($0.input.tanh()) }
        guard let write else { throw TorchError("there is no kernel") }
        let connection =
          isFused
          ? FusedConnection(reading: write, weights, epsilon: 1e-5)
          : FusedConnection(reading: write.state, weights, epsilon: 1e-5)
        guard let connection else { throw TorchError("there is no kernel") }
        return connection.write(connection.input).state.sum()
      }
    }
    for (one, other) in try zip(slopes(isFused: true), slopes(isFused: false)) {
      #expect(try relativeError(of: one, to: other) < 1e-6)
    }
  }

  @Test func neighborsOfTwoShapesAreRefused() throws {
    let random = try RandomTensors(seed: 7)
    let (first, second) = (VirtualWidth(fractionRate: 2, slots: 4), VirtualWidth(fractionRate: 1, slots: 4))
    let text = message {
      let weights = FusedConnection.Weights(random.connection(first, slotWidth: 4))
      let other = FusedConnection.Weights(random.connection(second, slotWidth: 4))
      let write = FusedConnection(reading: random.normal(5, 4, 4), weights, epsilon: 1e-5).map { $0.write($0.input) }
      if let write { _ = FusedConnection(reading: write, other, epsilon: 1e-5) }
    }
    #expect(
      text == "connection_write_read(float32[5, 8]): two neighboring connections have different fraction rates")
  }
}

/// Three connections around three sublayers, and all their inputs.
private struct Chain {
  let names: [String]
  private let leaves: [Tensor]
  private let direction: Tensor
  private let weightNames: [String]
  private static let count = 3

  init(_ each: ConnectionCase, seed: UInt64) throws {
    let random = try RandomTensors(seed: seed)
    let weights = (0..<Self.count).map { _ in random.connection(each.width, slotWidth: each.C) }
    weightNames = weights[0].keys.sorted()
    let names = weightNames
    leaves =
      [random.normal(each.N, each.n, each.C), random.normal(each.m * each.C)]
      + weights.flatMap { all in names.compactMap { all[$0] } }
    direction = random.normal(each.N, each.n, each.C)
    self.names =
      ["last state", "state", "sublayer"] + (0..<Self.count).flatMap { index in names.map { "\($0) \(index)" } }
  }

  private func weights(_ index: Int, _ leaves: [Tensor]) -> [String: Tensor] {
    let first = 2 + index * weightNames.count
    return Dictionary(uniqueKeysWithValues: zip(weightNames, leaves[first...]))
  }

  /// The last state and the gradient of every input, through the kernels.
  func fused(isWrittenBetween: Bool = false) throws -> [Tensor] {
    var last = direction
    let slopes = try gradients(of: leaves) { leaves in
      var write: FusedConnection.Write?
      for index in 0..<Self.count {
        let weights = FusedConnection.Weights(weights(index, leaves))
        if isWrittenBetween { _ = write?.state }
        let connection =
          write.flatMap { FusedConnection(reading: $0, weights, epsilon: 1e-5) }
          ?? FusedConnection(reading: write?.state ?? leaves[0], weights, epsilon: 1e-5)
        guard let connection else { throw TorchError("there is no kernel") }
        write = connection.write((connection.input * leaves[1]).tanh())
      }
      last = write?.state ?? last
      return (last * direction).sum()
    }
    return [last.detached()] + slopes
  }

  /// The same in float64, without kernels.
  func exact() throws -> [Tensor] {
    var last = direction
    let slopes = try gradients(of: leaves.map { $0.to(.float64) }) { leaves in
      last = leaves[0]
      for index in 0..<Self.count {
        last = referenceConnection(last, weights(index, leaves), epsilon: 1e-5) { ($0 * leaves[1]).tanh() }
      }
      return (last * direction).sum()
    }
    return [last.detached()] + slopes
  }
}

private func disagreement(_ each: ConnectionCase, seed: UInt64) throws -> String? {
  let chain = try Chain(each, seed: seed)
  let (first, second, exact) = try (chain.fused(), chain.fused(), chain.exact())
  for (index, name) in chain.names.enumerated() {
    if try !areIdentical(first[index], second[index]) { return "\(name) differs from run to run" }
    let error = try relativeError(of: first[index], to: exact[index])
    if !(error <= (index == 0 ? 2e-5 : 1e-4)) { return "\(name) has a relative error of \(error)" }
  }
  return nil
}
