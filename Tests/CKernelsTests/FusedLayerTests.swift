import TestSupport
import Testing
import WidebandCKernels
import WidebandTorch

/// The fused parts of a transformer layer against their formulas in float64, on every vector code.
@Suite struct FusedLayerTests {
  @Test(arguments: ["avx512", "avx2", "portable"]) func kernelsFollowTheFormulas(code: String) async {
    await #expect(processExitsWith: .success) { [code] in
      guard ck_use_vector_code(code) else { return }
      Machine.threadCount = 1
      try swiglu()
      try experts()
      try attention()
      try laterAttention()
      try qkNormRoPE()
      try groupNorm()
      try crossEntropy()
    }
  }

  @Test func linearMapsOfAnySizeFollowTheFormula() throws {
    // The products of the last three go through oneDNN.
    for (rows, inputs, outputs) in [(1, 3, 5), (3, 1, 7), (129, 65, 257), (2048, 33, 65), (70, 1000, 301)] {
      let random = try RandomTensors(seed: UInt64(inputs))
      try compare(
        "linear \(rows) \(inputs) \(outputs)", [random.normal(rows, inputs), random.normal(outputs, inputs)],
        fused: { $0[0].linear($0[1]) }, exact: { $0[0].matmul($0[1].transposed()) })
    }
  }

  @Test func aTargetBeyondTheVocabularyIsNamed() throws {
    let text = message {
      _ = Tensor.ones([2, 3]).fusedCrossEntropy(
        head: WeightMatrix(.ones([4, 3])), targets: Tensor([1, 4] as [Int64], shape: [2]))
    }
    #expect(
      text == "cross_entropy(float32[2, 3], [4, 3], int64[2]): Target 4 is out of bounds: expected less than 4")
  }

  @Test func anExpertThatIsNotThereIsNamed() throws {
    let matrices = [Tensor.ones([4, 3]), .ones([4, 3]), .ones([3, 4])].map { WeightMatrix($0) }
    let text = message {
      _ = Tensor.ones([2, 3]).fusedExperts(
        matrices, weights: .ones([2, 1]), chosen: Tensor([0, 1] as [Int64], shape: [2, 1]))
    }
    #expect(
      text == "experts(float32[2, 3], [2, 1], int64[2, 1], 1): there is no expert 1 among 1")
    let other = message {
      _ = Tensor.ones([2, 3]).fusedExperts(
        [matrices[2]] + matrices[1...], weights: .ones([2, 1]), chosen: .zeros([2, 1], .int64))
    }
    #expect(
      other == "experts(float32[2, 3], [2, 1], int64[2, 1], 1): "
        + "the weights [F, D], [F, D] and [D, F] of the experts do not fit the last axis")
  }

  @Test func keysOfAnotherLengthAreRefused() {
    let text = message {
      _ = Tensor.fusedCausalAttention(.ones([1, 3, 2, 4]), .ones([1, 2, 2, 4]), .ones([1, 2, 2, 4]))
    }
    #expect(
      text == "attention(float32[1, 3, 2, 4], [1, 2, 2, 4], [1, 2, 2, 4]): "
        + "the queries [B, T, H, d] do not fit the keys and the values [B, S, K, d]")
    let derivative = message {
      let query = Tensor.ones([1, 1, 2, 4]).requiringGradient()
      _ = Tensor.fusedCausalAttention(query, .ones([1, 2, 2, 4]), .ones([1, 2, 2, 4]))
    }
    #expect(derivative.hasSuffix("there is no derivative of attention over earlier keys and values"))
  }

  @Test func composedOperatorsAreLeftAlone() {
    Kernels.$selected.withValue(.composed) {
      let x = Tensor.ones([2, 3])
      #expect(
        x.fusedSwiGLU(
          gate: WeightMatrix(.ones([4, 3])), up: WeightMatrix(.ones([4, 3])), down: WeightMatrix(.ones([3, 4]))) == nil)
      #expect(x.fusedCrossEntropy(head: WeightMatrix(.ones([4, 3])), targets: .zeros([2], .int64)) == nil)
      let ones = WeightMatrix(.ones([3, 3]))
      #expect(x.fusedExperts([ones, ones, ones], weights: .ones([2, 1]), chosen: .zeros([2, 1], .int64)) == nil)
      let heads = Tensor.ones([1, 2, 3, 4])
      #expect(Tensor.fusedCausalAttention(heads, heads, heads) == nil)
    }
  }
}

private func swiglu() throws {
  for (rows, D, F) in [(1, 3, 5), (7, 16, 33), (5, 8, 1), (64, 130, 250), (3, 1, 100)] {
    let random = try RandomTensors(seed: UInt64(F))
    try compare(
      "swiglu \(rows) \(D) \(F)",
      [random.normal(rows, D, deviation: 3), random.normal(F, D), random.normal(F, D), random.normal(D, F)],
      fused: {
        $0[0].fusedSwiGLU(
          gate: WeightMatrix($0[1]), up: WeightMatrix($0[2]), down: WeightMatrix($0[3]))
      },
      exact: { leaves in
        let gate = leaves[0].matmul(leaves[1].transposed())
        return (gate.silu() * leaves[0].matmul(leaves[2].transposed())).matmul(leaves[3].transposed())
      })
  }
}

private func experts() throws {
  for (N, D, F, E, k) in [(1, 3, 5, 1, 1), (9, 7, 33, 4, 2), (5, 16, 3, 6, 6), (40, 18, 20, 3, 1), (300, 33, 70, 8, 2)]
  {
    let random = try RandomTensors(seed: UInt64(N))
    let matrices = (0..<E).flatMap { _ in [random.normal(F, D), random.normal(F, D), random.normal(D, F)] }
    // Where there are more than two, the first expert has one token and the second none.
    var scores = random.normal(N, E)
    if E > 2, k < E {
      let columns = Tensor.range(0..<E).unsqueezed(0).expanded([N, E])
      let rows = Tensor.range(0..<N).unsqueezed(1).expanded([N, E])
      scores = scores.maskedFill(columns .< 2, -100).maskedFill((columns + rows) .< 1, 100)
    }
    let chosen = scores.topK(k).indices
    let shares = random.normal(N, k)
    try compare(
      "experts \(N) \(D) \(F) \(E) \(k)", [random.normal(N, D, deviation: 2), shares] + matrices,
      fused: { $0[0].fusedExperts($0[2...].map { WeightMatrix($0) }, weights: $0[1], chosen: chosen) },
      exact: { leaves in
        (0..<E).map { e in
          let gate = leaves[0].matmul(leaves[3 * e + 2].transposed())
          let hidden = gate.silu() * leaves[0].matmul(leaves[3 * e + 3].transposed())
          let share = Tensor.where(chosen .== e, leaves[1], .zeros([N, k], .float64)).sum(1, keep: true)
          return hidden.matmul(leaves[3 * e + 4].transposed()) * share
        }.reduce(Tensor.zeros([N, D], .float64)) { $0 + $1 }
      })
  }
}

private func attention() throws {
  for (B, T, H, K, hd) in [
    (1, 1, 1, 1, 2), (2, 5, 3, 1, 7), (2, 70, 4, 2, 33), (1, 64, 2, 2, 64), (1, 130, 1, 1, 16), (3, 17, 6, 3, 128),
  ] {
    let random = try RandomTensors(seed: UInt64(T))
    let isLater = (Tensor.range(0..<T).unsqueezed(1)) .< (Tensor.range(0..<T).unsqueezed(0))
    try compare(
      "attention \(B) \(T) \(H) \(K) \(hd)",
      [random.normal(B, T, H, hd, deviation: 3), random.normal(B, T, K, hd), random.normal(B, T, K, hd)],
      fused: { .fusedCausalAttention($0[0], $0[1], $0[2]) },
      exact: { leaves in
        let (q, k, v) = (leaves[0].reshaped(B, T, K, H / K, hd), leaves[1], leaves[2])
        let scores = Tensor.einsum("bqkgc,bskc->bkgqs", q, k) / Double(hd).squareRoot()
        let shares = scores.maskedFill(isLater, -.infinity).softmax(-1)
        return Tensor.einsum("bkgqs,bskc->bqkgc", shares, v).reshaped(B, T, H, hd)
      })
  }
}

/// Queries after earlier positions, whose keys and values are stored head by head with free capacity after the last one.
private func laterAttention() throws {
  for (B, T, S, H, K, hd) in [(1, 2, 3, 1, 1, 2), (2, 3, 70, 4, 2, 7), (1, 65, 66, 6, 3, 32), (1, 70, 200, 2, 1, 64)] {
    let random = try RandomTensors(seed: UInt64(S))
    let kept = [random.normal(B, K, S + 9, hd), random.normal(B, K, S + 9, hd)]
    let query = random.normal(B, T, H, hd, deviation: 3)
    let (found, exact) = try withTorch {
      let (keys, values) = (kept[0].slice(2, 0..<S), kept[1].slice(2, 0..<S))
      let mask = Tensor.range(0..<S).unsqueezed(0) .<= Tensor.range((S - T)..<S).unsqueezed(1)
      let exact = Tensor.attention(
        query.transposed(1, 2).to(.float64), keys.to(.float64), values.to(.float64), mask: mask)
      return (
        Tensor.fusedCausalAttention(query, keys.transposed(1, 2), values.transposed(1, 2)), exact.transposed(1, 2)
      )
    }
    let error = try relativeError(of: try #require(found), to: exact)
    #expect(error < 2e-6, "\(B) \(T) \(S) \(H) \(K) \(hd): an error of \(error)")
  }
}

private func qkNormRoPE() throws {
  for (B, T, H, hd) in [(1, 1, 1, 2), (2, 5, 3, 6), (2, 70, 2, 64), (1, 3, 4, 34), (3, 2, 1, 128), (2, 4, 5, 32)] {
    let random = try RandomTensors(seed: UInt64(hd + T))
    for rows in [1, B] {
      let angles = random.normal(rows, T, 1, hd, deviation: 2)
      let (cosine, sine) = (angles.cos(), (angles * 0.7).cos())
      try compare(
        "rotary norm \(B) \(T) \(H) \(hd) with \(rows)",
        [random.normal(B, T, H, hd, deviation: 3), random.normal(hd, around: 1, deviation: 0.3)],
        fused: { $0[0].fusedQKNormRoPE($0[1], cosine: cosine, sine: sine, epsilon: 0.1) },
        exact: { leaves in
          let x = leaves[0] / ((leaves[0] * leaves[0]).mean(-1, keep: true) + 0.1).squareRoot() * leaves[1]
          let rotated = Tensor.concatenate([-x.slice(-1, (hd / 2)...), x.slice(-1, 0..<(hd / 2))], axis: -1)
          return x * cosine.to(.float64) + rotated * sine.to(.float64)
        })
    }
  }
}

private func groupNorm() throws {
  for (rows, groups, width) in [(1, 1, 2), (5, 3, 7), (70, 2, 16), (130, 4, 33), (2, 1, 1000), (3, 16, 64)] {
    let random = try RandomTensors(seed: UInt64(width))
    try compare(
      "group norm \(rows) \(groups) \(width)",
      [
        random.normal(rows, groups * width, around: 5, deviation: 3),
        random.normal(groups * width, around: 1, deviation: 0.3), random.normal(groups * width),
      ],
      fused: { $0[0].groupNorm(groups: groups, weight: $0[1], bias: $0[2], epsilon: 0.1) },
      exact: { leaves in
        let x = leaves[0].reshaped([rows, groups, width])
        let centered = x - x.mean(-1, keep: true)
        let normal = centered / ((centered * centered).mean(-1, keep: true) + 0.1).squareRoot()
        return normal.reshaped([rows, groups * width]) * leaves[1] + leaves[2]
      })
  }
}

private func crossEntropy() throws {
  // The last has more logits than exist at once.
  for (rows, D, V) in [(1, 2, 3), (7, 5, 33), (6, 16, 1001), (9, 3, 1), (70, 2, 150_000)] {
    let random = try RandomTensors(seed: UInt64(V))
    let tokens = random.tokens(rows, below: V)
    let isIgnored = tokens .< Double(V > 1 && rows > 6 ? V / 3 : 0)
    let targets = tokens.maskedFill(isIgnored, -100)
    try compare(
      "cross entropy \(rows) \(D) \(V)", [random.normal(rows, D, deviation: 3), random.normal(V, D)],
      fused: { $0[0].fusedCrossEntropy(head: WeightMatrix($0[1]), targets: targets) },
      exact: { leaves in
        let scores = leaves[0].matmul(leaves[1].transposed()).logSoftmax(-1)
        let chosen = scores.gather(tokens.unsqueezed(-1), axis: -1).flattened()
        let isScored = Tensor.ones([rows], .float64).maskedFill(isIgnored, 0)
        return -(chosen * isScored).sum() / isScored.sum()
      })
  }
}

/// Holds a result and the gradients of all inputs to the same in float64, and two runs to each other.
private func compare(
  _ name: String, _ inputs: [Tensor], fused: ([Tensor]) -> Tensor?, exact: ([Tensor]) -> Tensor
) throws {
  func run(_ inputs: [Tensor], _ formula: ([Tensor]) -> Tensor?) throws -> [Tensor] {
    var result = Tensor.zeros([0])
    let slopes = try gradients(of: inputs) { leaves in
      guard let found = formula(leaves) else { throw TorchError("\(name): there is no fused format") }
      result = found
      let weights = (Tensor.range(0..<found.shape.reduce(1, *), .float64) * 0.7).cos().reshaped(found.shape)
      return (found.to(.float64) * weights).sum()
    }
    return [result.detached()] + slopes
  }
  let (first, second) = try (run(inputs, fused), run(inputs, fused))
  let expected = try run(inputs.map { $0.to(.float64) }, exact)
  for (index, (one, value)) in zip(first, expected).enumerated() {
    #expect(try areIdentical(one, second[index]), "\(name): \(index) differs from run to run")
    #expect(try relativeError(of: one, to: value) < (index == 0 ? 2e-5 : 1e-4), "\(name): \(index)")
  }
}
