import Wideband

/// The rest of a layer, the readout and the loss, at the sizes of `Benchmarks/configs`.
enum LayerTasks {
  private static let rows = 8, length = 256, tokens = rows * length
  private static let D = 256, F = 704, heads = 4, headSize = 64, epsilon = 1e-6

  /// All tasks; the tensors of each are created when it is requested.
  static var all: [(name: String, make: () throws -> KernelTask)] {
    [
      ("RMSNorm", rmsNorm), ("GroupNorm", groupNorm), ("query norm and rotation", qkNormRoPE),
      ("causal attention", attention), ("SwiGLU", swiglu), ("experts", experts),
    ]
      + [(D, D), (D, F), (F, D), (8 * D, D)].map { inputs, outputs in ("linear", { try linear(inputs, outputs) }) }
      + [4096, 32_768].map { vocabulary in ("head and cross-entropy", { try crossEntropy(vocabulary) }) }
  }

  private static func rmsNorm() throws -> KernelTask {
    let count = tokens * D
    return try layer(
      "RMSNorm", "\(D)", forward: (4 * count, 2 * count + tokens), backward: (9 * count, 3 * count + tokens),
      leaves: [[rows, length, D], [D]]
    ) { $0[0].rmsNorm($0[1], epsilon: epsilon) }
  }

  private static func groupNorm() throws -> KernelTask {
    let groups = 8, count = tokens * groups * D
    return try layer(
      "GroupNorm", "\(groups) × \(D)", forward: (8 * count, 2 * count + 2 * tokens * groups),
      backward: (13 * count, 3 * count + 2 * tokens * groups),
      leaves: [[rows, length, groups * D], [groups * D], [groups * D]]
    ) { $0[0].groupNorm(groups: groups, weight: $0[1], bias: $0[2], epsilon: epsilon) }
  }

  private static func qkNormRoPE() throws -> KernelTask {
    let count = tokens * heads * headSize
    let random = try Generator(seed: 1)
    let angles = try withTorch { Tensor.normal([1, length, 1, headSize], from: random) }
    let (cosine, sine) = try withTorch { (angles.cos(), (angles * 0.7).cos()) }
    return try layer(
      "query norm and rotation", "\(heads) × \(headSize)", forward: (7 * count, 2 * count + tokens * heads),
      backward: (12 * count, 3 * count + tokens * heads), leaves: [[rows, length, heads, headSize], [headSize]]
    ) { $0[0].fusedQKNormRoPE($0[1], cosine: cosine, sine: sine, epsilon: epsilon) }
  }

  /// Counts the operations of unmasked scores only.
  private static func attention() throws -> KernelTask {
    let count = tokens * heads * headSize, product = count * (length + 1), shape = [rows, length, heads, headSize]
    return try layer(
      "causal attention", "\(heads) × \(headSize)", forward: (2 * product, 4 * count),
      backward: (5 * product, 8 * count), leaves: [shape, shape, shape]
    ) { .fusedCausalAttention($0[0], $0[1], $0[2]) }
  }

  /// Eight experts of half the size; each token is routed to two.
  private static func experts() throws -> KernelTask {
    let count = 8, perToken = 2, inner = F / 2, products = 6 * tokens * perToken * D * inner
    let random = try Generator(seed: 1)
    let chosen = try withTorch { Tensor.uniform([tokens, count], from: random).topK(perToken).indices }
    return try layer(
      "experts", "\(perToken) of \(count) × (\(D) → \(inner) → \(D))",
      forward: (products, 2 * tokens * D + 3 * count * D * inner),
      backward: (2 * products, 4 * tokens * D + 6 * count * D * inner),
      leaves: [[tokens, D], [tokens, perToken]] + (0..<count).flatMap { _ in [[inner, D], [inner, D], [D, inner]] }
    ) { $0[0].fusedExperts($0[2...].map { WeightMatrix($0) }, weights: $0[1], chosen: chosen) }
  }

  private static func swiglu() throws -> KernelTask {
    let inner = tokens * F, narrow = product(D, F)
    return try layer(
      "SwiGLU", "\(D) → \(F) → \(D)", forward: (6 * inner * D + 5 * inner, 3 * narrow + 3 * inner),
      backward: (12 * inner * D + 10 * inner, 6 * narrow + 6 * inner),
      leaves: [[rows, length, D], [F, D], [F, D], [D, F]]
    ) {
      $0[0].fusedSwiGLU(
        gate: WeightMatrix($0[1]), up: WeightMatrix($0[2]), down: WeightMatrix($0[3]))
    }
  }

  private static func linear(_ inputs: Int, _ outputs: Int) throws -> KernelTask {
    let operations = 2 * tokens * inputs * outputs
    return try layer(
      "linear", "\(inputs) → \(outputs)", forward: (operations, product(inputs, outputs)),
      backward: (2 * operations, 2 * product(inputs, outputs)), leaves: [[rows, length, inputs], [outputs, inputs]]
    ) { $0[0].linear($0[1]) }
  }

  /// The gradient is computed together with the loss, in one pass.
  private static func crossEntropy(_ vocabulary: Int) throws -> KernelTask {
    let leaves = try leaves([[rows, length, D], [vocabulary, D]])
    let random = try Generator(seed: 1)
    let targets = try withTorch { Tensor.integers([rows, length], in: 0..<vocabulary, from: random) }
    let cost = KernelTask.Cost(
      .both, operations: 6 * tokens * D * vocabulary, floats: 2 * tokens * D + 2 * vocabulary * D)
    return KernelTask(
      name: "head and cross-entropy", shape: "\(D) → \(vocabulary)", tokens: tokens, costs: [cost]
    ) {
      defer { for leaf in leaves { leaf.clearGradient() } }
      return try [
        timed {
          try withTorch {
            guard let loss = leaves[0].fusedCrossEntropy(head: WeightMatrix(leaves[1]), targets: targets) else {
              throw MissingKernel(name: "head and cross-entropy")
            }
            loss.backward()
          }
        }.seconds
      ]
    }
  }

  /// Operands and result of a product, in floats.
  private static func product(_ inputs: Int, _ outputs: Int) -> Int {
    tokens * inputs + inputs * outputs + tokens * outputs
  }

  private static func leaves(_ shapes: [[Int]]) throws -> [Tensor] {
    let random = try Generator(seed: 0)
    return try withTorch { shapes.map { Tensor.normal($0, from: random).requiringGradient() } }
  }

  /// A layer's forward pass and, from a given gradient of its output, its backward pass. Costs are operations and
  /// floats.
  private static func layer(
    _ name: String, _ shape: String, forward: (Int, Int), backward: (Int, Int), leaves shapes: [[Int]],
    _ body: @escaping ([Tensor]) -> Tensor?
  ) throws -> KernelTask {
    let leaves = try leaves(shapes)
    func output() throws -> Tensor {
      guard let output = body(leaves) else { throw MissingKernel(name: name) }
      return output
    }
    let random = try Generator(seed: 2)
    let upstream = try withTorch { Tensor.normal(try output().shape, from: random) }
    return KernelTask(
      name: name, shape: shape, tokens: tokens,
      costs: [
        .init(.forward, operations: forward.0, floats: forward.1),
        .init(.backward, operations: backward.0, floats: backward.1),
      ]
    ) {
      defer { for leaf in leaves { leaf.clearGradient() } }
      let (first, output) = try timed { try withTorch { try output() } }
      let second = try timed { try withTorch { output.backward(from: upstream) } }.seconds
      return [first, second]
    }
  }
}
