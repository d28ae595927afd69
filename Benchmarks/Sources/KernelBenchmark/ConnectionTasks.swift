import Wideband

/// Connections through the fused kernels: a read, a write with the next read, their derivative, and one whole
/// connection around an identity sublayer.
struct ConnectionTasks {
  private let m, n, C, tokens: Int
  private let state, upstream: Tensor
  private let leaves: [Tensor]
  private let weights: [FusedConnection.Weights]

  /// Connections of m reads and n slots on a backbone of D channels.
  init(_ m: Int, _ n: Int, hiddenSize D: Int, tokens: Int) throws {
    let C = D / m
    let random = try Generator(seed: 0)
    func normal(_ shape: [Int], _ deviation: Double) -> Tensor {
      Tensor.normal(shape, standardDeviation: deviation, from: random)
    }
    let (first, second) = try withTorch {
      (normal([1, tokens, n, C], 1), normal([1, tokens, n, C], 1))
    }
    let sets = try withTorch {
      (0..<2).map { _ in
        [
          normal([n, m + n], 0.2), normal([n, m], 0.2), normal([m + n, C], 0.5), normal([m, C], 0.5),
          normal([n, m + n], 0.1), normal([n, m], 0.1), normal([C], 1),
        ]
      }
    }
    (state, upstream) = (first.requiringGradient(), second)
    for leaf in sets.joined() { leaf.requiringGradient() }
    leaves = [state] + sets.joined()
    weights = sets.map {
      .init(
        staticReadCarry: $0[0], staticWrite: $0[1], dynamicReadCarry: $0[2], dynamicWrite: $0[3], readCarryScale: $0[4],
        writeScale: $0[5], gain: $0[6])
    }
    (self.m, self.n, self.C, self.tokens) = (m, n, C, tokens)
  }

  /// Operations per token: 2C for each predicted coefficient and 2C for each applied one.
  private func task(
    _ name: String, _ costs: [KernelTask.Cost], _ run: @escaping () throws -> [Double]
  ) -> KernelTask {
    KernelTask(name: name, shape: "(\(m), \(n))", tokens: tokens, costs: costs, run: run)
  }

  private var wide: Int { tokens * n * C }
  private var narrow: Int { tokens * m * C }
  private var write: Int { tokens * m * n }

  /// Coefficients and read in one pass over the state.
  var read: KernelTask {
    task("read", [.init(.forward, operations: 4 * wide * m, floats: wide + narrow)]) {
      try [timed { try withTorch { _ = try open() } }.seconds]
    }
  }

  /// A write and the next connection's read in one pass, as in the middle of a network, and their derivative, which is
  /// the difference between the backward passes of two connections and of one.
  var writeAndRead: KernelTask {
    let columns = 2 * m + n
    return task(
      "write and read",
      [
        .init(.forward, operations: 4 * wide * columns, floats: 2 * wide + 2 * narrow + write),
        .init(.backward, operations: 8 * wide * columns, floats: 3 * wide + 3 * narrow + write),
      ]
    ) {
      let read = try withTorch { try open() }
      let write = read.write(read.input)
      let (forward, second) = try timed { try withTorch { try open(write) } }
      let two = try backward(from: second)
      let one = try backward(from: withTorch { try open() })
      return [forward, two - one]
    }
  }

  /// One connection alone.
  var whole: KernelTask {
    let columns = 2 * m + n
    return task(
      "connection",
      [
        .init(.forward, operations: 4 * wide * columns, floats: 3 * wide + 2 * narrow + write),
        .init(.backward, operations: 8 * wide * columns, floats: 4 * wide + 3 * narrow + write),
      ]
    ) {
      let (forward, end) = try timed {
        try withTorch {
          let read = try open()
          return read.write(read.input).state
        }
      }
      return [forward, try backward(end)]
    }
  }

  private func open() throws -> FusedConnection {
    guard let fused = FusedConnection(reading: state, weights[0], epsilon: 1e-6) else {
      throw MissingKernel(name: "connection (\(m), \(n))")
    }
    return fused
  }

  private func open(_ write: FusedConnection.Write) throws -> FusedConnection {
    guard let fused = FusedConnection(reading: write, weights[1], epsilon: 1e-6) else {
      throw MissingKernel(name: "connection (\(m), \(n)) after another")
    }
    return fused
  }

  /// The seconds of the backward pass from the state after the last connection's write.
  private func backward(from last: FusedConnection) throws -> Double {
    try backward(withTorch { last.write(last.input).state })
  }

  private func backward(_ end: Tensor) throws -> Double {
    defer { for leaf in leaves { leaf.clearGradient() } }
    return try timed { try withTorch { end.backward(from: upstream) } }.seconds
  }
}
