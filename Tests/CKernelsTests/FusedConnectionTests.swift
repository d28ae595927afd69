import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch
import WidebandVirtualWidth

/// One connection to compare: N tokens of n slots of C channels.
struct ConnectionCase: CustomStringConvertible {
  let m, n, C, N: Int
  let kind: VirtualWidth.Connections

  var description: String { "(m \(m), n \(n), C \(C), N \(N), \(kind))" }
  var width: VirtualWidth { VirtualWidth(fractionRate: m, slots: n, connections: kind) }

  /// Every kind of remainder, 134 cases: slots, channels and tokens that do and do not fill registers and blocks.
  static let all: [ConnectionCase] = {
    let widths = [
      (1, 1), (1, 2), (1, 4), (1, 7), (2, 2), (2, 3), (2, 5), (3, 3), (3, 8), (4, 4), (4, 16), (5, 7), (8, 8), (7, 17),
      (8, 64),
    ]
    let channels = [2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 48, 64, 65]
    let tokens = [1, 2, 3, 5, 7, 8, 13, 16, 17, 32, 0]
    let mixed = widths.enumerated().flatMap { index, width in
      (0..<4).map { round in
        (width.0, width.1, channels[(index * 5 + round * 7) % 17], tokens[(index * 3 + round * 5) % 11])
      }
    }
    // Many blocks.
    let large = [(2, 3, 128, 70), (1, 16, 40, 65), (4, 8, 64, 129), (1, 1, 256, 100)]
    // Few slots of many channels, which are projected without a transposition.
    let long = [(2, 3, 135, 23), (3, 4, 130, 2), (1, 2, 65, 9)]
    return (mixed + large + long).flatMap { m, n, C, N in
      VirtualWidth.Connections.allCases.map { ConnectionCase(m: m, n: n, C: C, N: N, kind: $0) }
    }
  }()
}

/// The kernels with autograd against `referenceConnection` in float64, on every vector code.
///
/// The vector code belongs to the process, so each runs in a process of its own, out of other tests' way.
@Suite struct FusedConnectionTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func kernelsFollowTheEquations(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      // Three such processes at once would fight for the cores; `threadsShareTheTokens` has the threads.
      Machine.threadCount = 1
      #expect(String(cString: ck_vector_code()) == code)
      for (index, each) in ConnectionCase.all.enumerated() {
        let problem = try disagreement(each, seed: UInt64(index))
        #expect(problem == nil, "\(each): \(problem ?? "")")
      }
    }
  }

  @Test func slotsOfOneChannelAreLeftToOperators() throws {
    let each = ConnectionCase(m: 2, n: 3, C: 1, N: 4, kind: .dynamic)
    let random = try RandomTensors(seed: 1)
    let weights = FusedConnection.Weights(random.connection(each.width, slotWidth: 1))
    #expect(FusedConnection(reading: random.normal(4, 3, 1), weights, epsilon: 1e-5) == nil)
    #expect(FusedConnection(reading: .ones([4, 3, 1], .float64), weights, epsilon: 1e-5) == nil)
    Kernels.$selected.withValue(.composed) {
      let wide = FusedConnection.Weights(random.connection(each.width, slotWidth: 2))
      #expect(FusedConnection(reading: random.normal(4, 3, 2), wide, epsilon: 1e-5) == nil)
    }
  }

  @Test func runsDoNotTouchEachOther() throws {
    let small = ConnectionCase(m: 2, n: 3, C: 5, N: 3, kind: .dynamic)
    let before = try fused(small, seed: 1)
    for (index, each) in ConnectionCase.all.enumerated() where index.isMultiple(of: 9) {
      _ = try fused(each, seed: UInt64(index))
    }
    // A pass that overflows leaves its infinities nowhere.
    _ = try fused(small, seed: 2, scale: 1e30)
    let after = try fused(small, seed: 1)
    for (one, other) in zip(before, after) { #expect(try areIdentical(one, other)) }
  }

  /// Two connections whose reads and writes interleave, as they do when a sublayer holds a connection itself.
  @Test func pendingWritesAreApart() throws {
    let random = try RandomTensors(seed: 3)
    let width = VirtualWidth(fractionRate: 2, slots: 4)
    let (outer, inner) = (random.connection(width, slotWidth: 6), random.connection(width, slotWidth: 3))
    let (state, direction) = (random.normal(5, 4, 6), random.normal(5, 4, 6))
    func loss(_ state: Tensor, _ connect: @escaping (Tensor, [String: Tensor], (Tensor) -> Tensor) -> Tensor) -> Tensor
    {
      let next = connect(state, outer) { x in
        connect(x.reshaped(5, 4, 3), inner) { $0.tanh() }.flattened(-2)
      }
      return (next * direction.to(next.dtype)).sum()
    }
    let found = try gradients(of: [state]) { leaves in
      loss(leaves[0]) { state, weights, sublayer in
        guard let fused = FusedConnection(reading: state, .init(weights), epsilon: 1e-5) else { return state }
        return fused.write(sublayer(fused.input)).state
      }
    }
    let expected = try gradients(of: [state.to(.float64)]) { leaves in
      loss(leaves[0]) { state, weights, sublayer in
        referenceConnection(state, weights.mapValues { $0.to(.float64) }, epsilon: 1e-5, around: sublayer)
      }
    }
    #expect(try relativeError(of: found[0], to: expected[0]) < 1e-5)
  }

  @Test func aReadWithoutItsWriteHasNoDerivative() throws {
    let random = try RandomTensors(seed: 4)
    let weights = random.connection(VirtualWidth(fractionRate: 2, slots: 3), slotWidth: 4)
    let text = message {
      let state = random.normal(5, 3, 4).requiringGradient()
      FusedConnection(reading: state, .init(weights), epsilon: 1e-5)?.input.sum().backward()
    }
    #expect(text == "backward(float32[]): a connection's backward pass ran twice, or its write never did")
  }
}

extension FusedConnection.Weights {
  /// The weights by their names in a checkpoint.
  init(_ weights: [String: Tensor]) {
    let empty = Tensor.zeros([0])
    self.init(
      staticReadCarry: weights["static_alpha"] ?? empty, staticWrite: weights["static_beta"] ?? empty,
      dynamicReadCarry: weights["dynamic_alpha"], dynamicWrite: weights["dynamic_beta"],
      readCarryScale: weights["alpha_scale"], writeScale: weights["beta_scale"], gain: weights["norm.weight"])
  }
}

/// Inputs of one case, all leaves: the state, a weight of the sublayer, the connection's weights by sorted name.
private struct Inputs {
  let names: [String]
  let leaves: [Tensor]
  let direction: Tensor

  init(_ each: ConnectionCase, seed: UInt64, scale: Double) throws {
    let random = try RandomTensors(seed: seed)
    let weights = random.connection(each.width, slotWidth: each.C)
    names = weights.keys.sorted()
    leaves =
      [random.normal(each.N, each.n, each.C, deviation: scale), random.normal(each.m * each.C)]
      + names.compactMap { weights[$0] }
    direction = random.normal(each.N, each.n, each.C)
  }

  func weights(_ leaves: [Tensor]) -> [String: Tensor] {
    Dictionary(uniqueKeysWithValues: zip(names, leaves.dropFirst(2)))
  }
}

/// The next state and the gradient of every input, through the kernels.
private func fused(_ each: ConnectionCase, seed: UInt64, scale: Double = 1) throws -> [Tensor] {
  let inputs = try Inputs(each, seed: seed, scale: scale)
  var next = inputs.direction
  let slopes = try gradients(of: inputs.leaves) { leaves in
    guard let fused = FusedConnection(reading: leaves[0], .init(inputs.weights(leaves)), epsilon: 1e-5) else {
      throw TorchError("there is no kernel")
    }
    next = fused.write((fused.input * leaves[1]).silu()).state
    return (next * inputs.direction).sum()
  }
  return [next.detached()] + slopes
}

/// The same in float64, without kernels.
private func exact(_ each: ConnectionCase, seed: UInt64) throws -> [Tensor] {
  let inputs = try Inputs(each, seed: seed, scale: 1)
  var next = inputs.direction
  let slopes = try gradients(of: inputs.leaves.map { $0.to(.float64) }) { leaves in
    next = referenceConnection(leaves[0], inputs.weights(leaves), epsilon: 1e-5) { ($0 * leaves[1]).silu() }
    return (next * inputs.direction).sum()
  }
  return [next.detached()] + slopes
}

/// What differs too much between the kernels and the equations, or between two runs of the kernels.
private func disagreement(_ each: ConnectionCase, seed: UInt64) throws -> String? {
  let (first, second) = try (fused(each, seed: seed), fused(each, seed: seed))
  let names = try ["next state", "state", "sublayer"] + Inputs(each, seed: seed, scale: 1).names
  for ((name, one), (other, expected)) in try zip(zip(names, first), zip(second, exact(each, seed: seed))) {
    if try !areIdentical(one, other) { return "\(name) differs from run to run" }
    let error = try relativeError(of: one, to: expected)
    let tolerance = name == "next state" ? 2e-5 : 1e-4
    if !(error <= tolerance) { return "\(name) has a relative error of \(error)" }
  }
  return nil
}
