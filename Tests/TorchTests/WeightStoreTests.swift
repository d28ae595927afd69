import Testing
import WidebandTorch

@Suite struct WeightStoreTests {
  @Test func freshWeightsDependOnSeedAndNameOnly() throws {
    let one = WeightStore(seed: 1)
    let first = try one.root["a"][0].tensor("weight", [4, 3], .normal(0.5))
    let other = WeightStore(seed: 1)
    _ = try other.root.tensor("unrelated", [100], .normal(1))
    let again = try other.root["a"]["0"].tensor("weight", [4, 3], .normal(0.5))
    try expectEqual(first, again, within: 0)
    #expect(Array(one.tensors.keys) == ["a.0.weight"])
    #expect(Array(other.tensors.keys) == ["unrelated", "a.0.weight"])
    let elsewhere = try WeightStore(seed: 1).root["a"][1].tensor("weight", [4, 3], .normal(0.5))
    let seeded = try WeightStore(seed: 2).root["a"][0].tensor("weight", [4, 3], .normal(0.5))
    let values = try [first, elsewhere, seeded].map { try $0.elements(Float.self) }
    #expect(Set(values).count == 3)
  }

  @Test func freshWeightsInAnotherTypeAreTheSameRounded() throws {
    let exact = try WeightStore(seed: 1).root.tensor("w", [40], .normal(0.5))
    let rounded = try WeightStore(seed: 1, dtype: .bfloat16).root.tensor("w", [40], .normal(0.5))
    #expect(rounded.dtype == .bfloat16)
    try expectEqual(rounded.to(.float32), exact.to(.bfloat16).to(.float32), within: 0)
  }

  @Test func initialValues() throws {
    let root = WeightStore(seed: 1).root
    try expect([0, 0]) { try root.tensor("zeros", [2], .zeros) }
    try expect([1, 1]) { try root.tensor("ones", [2], .ones) }
    try expect([1, 0, 0, 1]) { try root.tensor("identity", [2, 2], .computed { _ in .identity(2, 2) }) }
    let normal = try root.tensor("normal", [10_000], .normal(0.02))
    #expect(abs(try normal.power(2).mean().item().squareRoot() - 0.02) < 0.001)
    #expect(normal.dtype == .float32)
    #expect(root.store.parameterCount == 10_008)
  }

  @Test func askingTwiceGivesTheSameTensor() throws {
    let root = WeightStore(seed: 1).root
    try root.tensor("w", [2], .zeros).fill(3)
    try expect([3, 3]) { try root.tensor("w", [2], .zeros) }
    #expect(root.store.parameterCount == 2)
  }

  @Test func storedWeights() throws {
    let stored = ["a.w": vector(1, 2), "b": vector(3).to(.bfloat16)]
    let store = WeightStore(stored: stored, mutable: false)
    try expect([1, 2]) { try store.root["a"].tensor("w", [2], .zeros) }
    #expect(try store.root.tensor("b", [1], .zeros).dtype == .bfloat16)
    try store.requireNothingLeft()
    let converted = WeightStore(stored: stored, dtype: .float32, mutable: true)
    #expect(try converted.root.tensor("b", [1], .zeros).dtype == .float32)
  }

  @Test func mutableWeightsDoNotShareMemory() throws {
    let stored = ["w": vector(1, 2)]
    try WeightStore(stored: stored, mutable: true).root.tensor("w", [2], .zeros).fill(5)
    try expect([1, 2]) { stored["w"] ?? .zeros([]) }
    try WeightStore(stored: stored, mutable: false).root.tensor("w", [2], .zeros).fill(5)
    try expect([5, 5]) { stored["w"] ?? .zeros([]) }
  }

  @Test("missing, misshapen and unexpected tensors are rejected") func tensors_mismatched() {
    let store = WeightStore(stored: ["w": vector(1, 2), "tokens": integers(1), "x": vector(1)], mutable: false)
    expectError("missing tensor 'a.w': the configuration expects it with shape [2]") {
      _ = try store.root["a"].tensor("w", [2], .zeros)
    }
    expectError("tensor 'w' has shape [2]: the configuration expects [2, 1]") {
      _ = try store.root.tensor("w", [2, 1], .zeros)
    }
    expectError("tensor 'tokens' has dtype int64: expected float32, float64, bfloat16 or float16") {
      _ = try store.root.tensor("tokens", [1], .zeros)
    }
    let error = #expect(throws: TorchError.self) { try store.requireNothingLeft() }
    #expect(error?.kind == .weights)
    expectError("unexpected tensor 'tokens' (and 2 more): the configuration has no place for it") {
      try store.requireNothingLeft()
    }
  }

  @Test func freshStoresHaveNothingLeft() throws { try WeightStore(seed: 1).requireNothingLeft() }
}
