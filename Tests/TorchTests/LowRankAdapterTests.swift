import TestSupport
import Testing

@testable import WidebandTorch

/// Linear maps with adapters, and with frozen weights, compared to their formula.
@Suite struct LowRankAdapterTests {
  private static let types: [DType] = [.float32, .bfloat16, .float16]

  /// x, W, A and B in float32, with W in the given dtype.
  private func operands(_ dtype: DType, rows: Int, _ inputs: Int = 33, _ outputs: Int = 65) throws -> [Tensor] {
    let random = try RandomTensors(seed: UInt64(rows))
    return try withTorch {
      [
        random.normal(rows, inputs), random.normal(outputs, inputs).to(dtype), random.normal(3, inputs),
        random.normal(outputs, 3),
      ]
    }
  }

  private func exact(_ x: Tensor, _ w: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
    x.matmul(w.transposed()) + x.matmul(a.transposed()).matmul(b.transposed()) * 0.7
  }

  @Test(arguments: types, Kernels.allCases)
  func adaptedMapsAndTheirGradientsFollowTheFormula(dtype: DType, kernels: Kernels) throws {
    for rows in [1, 16, 70, 2048] {
      let all = try operands(dtype, rows: rows)
      let upstream = try RandomTensors(seed: 5).normal(rows, 65)
      let expected = try gradients(of: withTorch { all.map { $0.to(.float64) } }) {
        (exact($0[0], $0[1], $0[2], $0[3]) * upstream.to(.float64)).sum()
      }
      let found = try Kernels.$selected.withValue(kernels) {
        try gradients(of: [all[0], all[2], all[3]]) { leaves in
          let matrix = WeightMatrix(all[1], adapter: .init(down: leaves[1], up: leaves[2], scale: 0.7))
          let y = leaves[0].linear(matrix)
          let error = try relativeError(of: y, to: exact(all[0], all[1].to(.float32), all[2], all[3]))
          #expect(error < 1e-5)
          return (y * upstream).sum()
        }
      }
      for (place, one) in [0, 2, 3].enumerated() {
        #expect(try relativeError(of: found[place], to: expected[one]) < 1e-5, "\(rows) rows, operand \(one)")
      }
      // The output is the same without autograd.
      let plain = try Kernels.$selected.withValue(kernels) {
        try withTorch {
          withoutGradients {
            all[0].linear(WeightMatrix(all[1], adapter: .init(down: all[2], up: all[3], scale: 0.7)))
          }
        }
      }
      #expect(try relativeError(of: plain, to: exact(all[0], all[1].to(.float32), all[2], all[3])) < 1e-5)
    }
  }

  @Test(arguments: types) func frozenMap_propagatesGradients(dtype: DType) throws {
    for rows in [1, 70, 2048] {
      let all = try operands(dtype, rows: rows)
      let found = try gradients(of: [all[0]]) { ($0[0].linear(all[1]) * $0[0].linear(all[1])).sum() }
      let expected = try gradients(of: [withTorch { all[0].to(.float64) }]) {
        let y = $0[0].matmul(all[1].to(.float64).transposed())
        return (y * y).sum()
      }
      #expect(try relativeError(of: found[0], to: expected[0]) < 1e-5)
      #expect(all[1].gradient == nil)
    }
  }

  @Test(arguments: types) func frozenHead_keepsItsDType(dtype: DType) throws {
    let random = try RandomTensors(seed: 3)
    let (x, head) = (random.normal(9, 16), try withTorch { random.normal(40, 16).to(dtype) })
    let targets = Tensor([1, -100, 3, 39, 0, 5, 6, -100, 8] as [Int64])
    let found = try gradients(of: [x]) {
      try #require($0[0].fusedCrossEntropy(head: WeightMatrix(head), targets: targets))
    }
    let expected = try gradients(of: [x]) { $0[0].linear(head).crossEntropy(targets) }
    #expect(try relativeError(of: found[0], to: expected[0]) < 1e-5)
    if dtype != .float32 {
      let trained = try withTorch { head.cloned().requiringGradient() }
      #expect(x.fusedCrossEntropy(head: WeightMatrix(trained), targets: targets) == nil)
    }
  }

  @Test(arguments: QuantizationScheme.allCases) func quantizedMap_equalsDequantizedMap(
    scheme: QuantizationScheme
  ) throws {
    for rows in [2, 70] {
      let all = try operands(.float32, rows: rows)
      let quantized = try WeightMatrix(all[1]).quantized(scheme)
      func run(_ matrix: (LowRankAdapter) -> WeightMatrix) throws -> [Tensor] {
        try gradients(of: [all[0], all[2], all[3]]) { leaves in
          let y = leaves[0].linear(matrix(.init(down: leaves[1], up: leaves[2], scale: 0.7)))
          return (y * y).sum()
        }
      }
      let found = try run { adapter in
        var matrix = quantized
        matrix.adapter = adapter
        return matrix
      }
      let floats = try withTorch { quantized.floats }
      let expected = try run { WeightMatrix(floats, adapter: $0) }
      for (one, other) in zip(found, expected) { #expect(try relativeError(of: one, to: other) < 1e-6) }
      let alone = try gradients(of: [all[0]]) { ($0[0].linear(quantized) * $0[0].linear(quantized)).sum() }
      let exact = try gradients(of: [all[0]]) { ($0[0].linear(floats) * $0[0].linear(floats)).sum() }
      #expect(try relativeError(of: alone[0], to: exact[0]) < 1e-6)
    }
  }

  @Test func freshAdaptersChangeNothingAndDependOnTheNameAlone() throws {
    func store(_ seed: UInt64, _ adapted: String) -> WeightStore {
      let adapters = LowRankAdapters(rank: 4, scale: 2, weights: WeightStore(seed: seed)) { $0.hasSuffix(adapted) }
      return WeightStore(
        stored: ["a.b.weight": .ones([5, 9]), "a.c.weight": .ones([5, 9])], mutable: false, adapters: adapters)
    }
    let one = store(1, "b")
    let (b, c) = try (
      one.root["a"]["b"].matrix("weight", 5, 9, .zeros), one.root["a"]["c"].matrix("weight", 5, 9, .zeros)
    )
    try one.requireNothingLeft()
    #expect(c.adapter == nil)
    #expect(one.adapters?.weights.tensors.keys == ["a.b.lora_A.weight", "a.b.lora_B.weight"])
    let adapter = try #require(b.adapter)
    #expect(adapter.scale == 2 && adapter.down.shape == [4, 9] && adapter.up.shape == [5, 4])
    let values = try adapter.down.elements(Float.self)
    #expect(try #require(values.max()) <= 1 / 3 && #require(values.max()) > 0.25)
    #expect(try #require(values.min()) >= -1 / 3 && #require(values.min()) < -0.25)
    #expect(try adapter.up.elements(Float.self).allSatisfy { $0 == 0 })
    let again = try #require(try store(1, "b").root["a"]["b"].matrix("weight", 5, 9, .zeros).adapter)
    #expect(try areIdentical(adapter.down, again.down))
    let other = try #require(try store(2, "b").root["a"]["b"].matrix("weight", 5, 9, .zeros).adapter)
    #expect(try !areIdentical(adapter.down, other.down))
  }

  @Test(arguments: [(5, 9), (6, 6)]) func fusedWeightsAreTheSum(sizes: (Int, Int)) throws {
    let (outputs, inputs) = sizes
    let random = try RandomTensors(seed: 1)
    let (w, a, b) = try withTorch {
      (random.normal(outputs, inputs).to(.bfloat16), random.normal(2, inputs), random.normal(outputs, 2))
    }
    let adapters = LowRankAdapters(
      rank: 2, scale: 0.7,
      weights: WeightStore(stored: ["m.lora_A.weight": a, "m.lora_B.weight": b], mutable: false)
    ) { $0 == "m" }
    let store = WeightStore(stored: ["m.weight": w, "n.weight": w], mutable: false, adapters: adapters)
    _ = try (
      store.root["m"].matrix("weight", outputs, inputs, .zeros),
      store.root["n"].matrix("weight", outputs, inputs, .zeros)
    )
    let exact = try withTorch { w.to(.float32) + b.matmul(a) * 0.7 }
    for (dtype, expected) in [(nil, DType.bfloat16), (.float32, .float32)] as [(DType?, DType)] {
      let fused = try store.fused(as: dtype)
      #expect(fused.map(\.name) == ["m.weight", "n.weight"])
      #expect(try areIdentical(fused[0].tensor, withTorch { exact.to(expected) }))
      #expect(try areIdentical(fused[1].tensor, w))
    }
  }

  @Test(arguments: QuantizationScheme.allCases) func fusedQuantizedMatrix_isDequantized(scheme: QuantizationScheme)
    throws
  {
    let all = try operands(.float32, rows: 1)
    let quantized = try WeightMatrix(all[1]).quantized(scheme)
    let adapters = LowRankAdapters(
      rank: 3, scale: 0.7,
      weights: WeightStore(stored: ["m.lora_A.weight": all[2], "m.lora_B.weight": all[3]], mutable: false)
    ) { $0 == "m" }
    let stored = try ["m.weight": quantized.values, "m.weight_scale": #require(quantized.scales)]
    let store = WeightStore(stored: stored, mutable: false, adapters: adapters)
    _ = try store.root["m"].matrix("weight", 65, 33, .zeros)
    let fused = try store.fused()
    #expect(fused.map(\.name) == ["m.weight"])
    #expect(try areIdentical(fused[0].tensor, withTorch { quantized.floats + all[3].matmul(all[2]) * 0.7 }))
  }

  @Test func adaptersThatDoNotFitAreNamed() throws {
    func refusal(_ tensors: [String: Tensor]) -> String {
      let adapters = LowRankAdapters(rank: 2, scale: 1, weights: WeightStore(stored: tensors, mutable: false)) { _ in
        true
      }
      let store = WeightStore(stored: ["m.weight": .ones([5, 9])], mutable: false, adapters: adapters)
      return message {
        _ = try store.root["m"].matrix("weight", 5, 9, .zeros)
        try store.requireNothingLeft()
      }
    }
    let (a, b) = ("m.lora_A.weight", "m.lora_B.weight")
    #expect(refusal([a: .ones([2, 9]), b: .ones([5, 2])]) == "no error")
    #expect(
      refusal([a: .ones([2, 9])]) == "missing tensor 'm.lora_B.weight': the configuration expects it with shape [5, 2]")
    #expect(
      refusal([a: .ones([3, 9]), b: .ones([5, 3])])
        == "tensor 'm.lora_A.weight' has shape [3, 9]: the configuration expects [2, 9]")
    #expect(
      refusal([a: .ones([2, 9]), b: .ones([5, 2]), "x.lora_A.weight": .ones([1])])
        == "unexpected tensor 'x.lora_A.weight': the configuration has no place for it")
  }
}
