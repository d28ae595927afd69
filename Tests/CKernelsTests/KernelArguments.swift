import TestSupport
import WidebandCKernels
import WidebandTorch
import WidebandVirtualWidth

/// Float memory at an address that C may keep.
final class Memory {
  let pointer: UnsafeMutablePointer<Float>
  let count: Int

  init(repeating value: Float, count: Int) {
    self.count = count
    pointer = .allocate(capacity: Swift.max(count, 1))
    pointer.initialize(repeating: value, count: Swift.max(count, 1))
  }

  convenience init(_ tensor: Tensor) throws {
    let elements = try tensor.elements(Float.self)
    self.init(repeating: 0, count: elements.count)
    for (index, element) in elements.enumerated() { pointer[index] = element }
  }

  deinit { pointer.deallocate() }

  var elements: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
}

/// A connection as the kernels see it, with all that runs through one pass of it.
final class KernelArguments {
  let m, n, C, N: Int
  let state, output, inputGradient, nextStateGradient: Memory
  private let weights: [Memory]

  static let weightNames = [
    "static_alpha", "static_beta", "dynamic_alpha", "dynamic_beta", "alpha_scale", "beta_scale", "norm.weight",
  ]

  init(m: Int, n: Int, C: Int, N: Int, seed: UInt64 = 1) throws {
    (self.m, self.n, self.C, self.N) = (m, n, C, N)
    let random = try RandomTensors(seed: seed)
    let named = random.connection(VirtualWidth(fractionRate: m, slots: n), slotWidth: C)
    weights = try Self.weightNames.map { try Memory(named[$0] ?? .zeros([0])) }
    state = try Memory(random.normal(N, n, C))
    output = try Memory(random.normal(N, m, C))
    inputGradient = try Memory(random.normal(N, m, C))
    nextStateGradient = try Memory(random.normal(N, n, C))
  }

  func connection(
    m: Int? = nil, n: Int? = nil, C: Int? = nil, projections: UnsafeMutablePointer<Float>? = nil
  ) -> ck_connection {
    ck_connection(
      fraction_rate: Int64(m ?? self.m), slots: Int64(n ?? self.n), slot_width: Int64(C ?? self.C), epsilon: 1e-5,
      static_read_carry: weights[0].pointer, static_write: weights[1].pointer, dynamic_read_carry: weights[2].pointer,
      dynamic_write: weights[3].pointer, read_carry_scale: weights[4].pointer, write_scale: weights[5].pointer,
      gain: weights[6].pointer, projections: projections)
  }

  /// Memory for a state, a sublayer's input, and the saved write coefficients.
  func wide(_ value: Float = 7) -> Memory { Memory(repeating: value, count: N * n * C) }
  func narrow(_ value: Float = 7) -> Memory { Memory(repeating: value, count: N * m * C) }
  func betas(_ value: Float = 7) -> Memory { Memory(repeating: value, count: N * m * n) }
  /// Memory for the gradient of each weight.
  func gradients() -> [Memory] { weights.map { Memory(repeating: 0, count: $0.count) } }

  static func targets(_ memory: [Memory]) -> ck_connection_gradients {
    ck_connection_gradients(
      static_read_carry: memory[0].pointer, static_write: memory[1].pointer, dynamic_read_carry: memory[2].pointer,
      dynamic_write: memory[3].pointer, read_carry_scale: memory[4].pointer, write_scale: memory[5].pointer,
      gain: memory[6].pointer)
  }
}
