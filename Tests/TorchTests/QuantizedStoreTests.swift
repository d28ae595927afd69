import Testing

@testable import WidebandTorch

/// Stores that quantize, and stores of quantized checkpoints.
@Suite struct QuantizedStoreTests {
  private func ask(_ store: WeightStore) throws -> WeightMatrix {
    _ = try store.root.tensor("norm", [40], .ones)
    return try store.root["map"].matrix("weight", 6, 40, .normal(0.5))
  }

  @Test(arguments: QuantizationScheme.allCases) func quantizingStore_equalsQuantizedCheckpoint(
    scheme: QuantizationScheme
  ) throws {
    let floats = WeightStore(seed: 1)
    let weight = try ask(floats)
    let stored = Dictionary(uniqueKeysWithValues: floats.tensors.map { ($0.key, $0.value) })
    let quantized = WeightStore(stored: stored, dtype: .bfloat16, mutable: false, quantizing: scheme)
    let matrix = try ask(quantized)
    #expect(matrix.scheme == scheme && weight.scheme == nil)
    #expect(Array(quantized.tensors.keys) == ["norm", "map.weight", "map.weight_scale"])
    #expect(quantized.tensors["norm"]?.dtype == .bfloat16)
    #expect(quantized.parameterCount == 280)
    #expect(quantized.byteCount == 2 * 40 + (scheme == .int8 ? 6 * (40 + 2 * 2) : 6 * (64 + 2 * 4)))
    try quantized.requireNothingLeft()
    let fresh = try ask(WeightStore(seed: 1, quantizing: scheme))
    let again = WeightStore(
      stored: Dictionary(uniqueKeysWithValues: quantized.tensors.map { ($0.key, $0.value) }), dtype: .float32,
      mutable: false)
    let reread = try ask(again)
    try again.requireNothingLeft()
    #expect(again.tensors["map.weight_scale"]?.dtype == .bfloat16)
    #expect(again.parameterCount == 280)
    for other in [try weight.quantized(scheme), fresh, reread] {
      #expect(other.values.dtype == matrix.values.dtype)
      try expectEqual(other.floats, matrix.floats, within: 0)
    }
    #expect(try ask(again).values.shape == reread.values.shape)
  }

  @Test("a quantizing store releases the mapped file") func mappedFile_isReleased() throws {
    final class Owner {}
    let elements = [Float](repeating: 1, count: 280)
    weak var owner: Owner?
    let store: WeightStore = try elements.withUnsafeBytes { bytes in
      let memory = try #require(bytes.baseAddress)
      let mapped = Owner()
      owner = mapped
      let store = WeightStore(
        stored: [
          "norm": Tensor(borrowing: memory, shape: [40], dtype: .float32, owner: mapped),
          "map.weight": Tensor(borrowing: memory + 160, shape: [6, 40], dtype: .float32, owner: mapped),
        ], mutable: false, quantizing: .int4)
      _ = try ask(store)
      return store
    }
    #expect(owner == nil)
    #expect(try store.tensors["norm"]?.elements(Float.self) == Array(repeating: 1, count: 40))
  }

  @Test("mismatched quantized tensors are rejected") func quantizedTensors_mismatched() throws {
    func store(_ values: Tensor, _ scales: Tensor?, mutable: Bool = false) -> WeightStore {
      var tensors = ["norm": Tensor.ones([40]), "map.weight": values]
      tensors["map.weight_scale"] = scales
      return WeightStore(stored: tensors, mutable: mutable)
    }
    let (values, scales) = (Tensor.zeros([6, 40], .int8), Tensor.zeros([6, 2], .bfloat16))
    expectError("missing tensor 'map.weight_scale': 'map.weight' has dtype int8, which needs scales") {
      _ = try ask(store(values, nil))
    }
    expectError("tensor 'map.weight_scale' has dtype float32: expected bfloat16") {
      _ = try ask(store(values, .zeros([6, 2])))
    }
    expectError("tensor 'map.weight_scale' has shape [6, 3]: a weight of [6, 40] in int8 has [6, 2]") {
      _ = try ask(store(values, .zeros([6, 3], .bfloat16)))
    }
    expectError("tensor 'map.weight' has shape [6, 40]: a weight of [6, 40] in int4 has [6, 16]") {
      _ = try ask(store(.zeros([6, 40], .int32), scales))
    }
    expectError("tensor 'map.weight_scale' has shape [6, 2]: a weight of [6, 40] in int4 has [6, 4]") {
      _ = try ask(store(.zeros([6, 16], .int32), scales))
    }
    expectError("tensor 'map.weight' is quantized (int8): expected floats, which alone have derivatives") {
      _ = try ask(store(values, scales, mutable: true))
    }
    expectError("tensor 'map.weight' is quantized already (int8)") {
      _ = try ask(
        WeightStore(
          stored: ["norm": .ones([40]), "map.weight": values, "map.weight_scale": scales], mutable: false,
          quantizing: .int8))
    }
    expectError("tensor 'map.weight' has dtype int16: expected float32, float64, bfloat16 or float16") {
      _ = try ask(store(.zeros([6, 40], .int16), nil))
    }
    expectError("tensor 'map.weight' holds a number that is not finite, or of 2^126 or more") {
      _ = try ask(
        WeightStore(
          stored: ["norm": .ones([40]), "map.weight": .zeros([6, 40]) / 0], mutable: false, quantizing: .int4))
    }
    expectError("unexpected tensor 'norm_scale': the configuration has no place for it") {
      let store = WeightStore(
        stored: ["norm": .ones([40]), "map.weight": .ones([6, 40]), "norm_scale": scales], mutable: false)
      _ = try ask(store)
      try store.requireNothingLeft()
    }
  }
}
