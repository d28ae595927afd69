import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@Suite struct EmbeddingAndReduceTests {
  private let tokens = Tensor([Int64(3), 0, 4, 3], shape: [1, 4])

  private func embedding(_ width: VirtualWidth?, _ store: WeightStore, _ dtype: DType = .float32) throws
    -> OverWidthEmbedding
  {
    try OverWidthEmbedding(
      vocabularySize: 5, hiddenSize: 6, width: width, start: .standard, computingIn: dtype, in: store.root)
  }

  @Test func aWideTableIsCutIntoSlots() throws {
    let store = WeightStore(seed: 1)
    let embedding = try embedding(VirtualWidth(fractionRate: 2, slots: 3, embedding: .wide), store)
    #expect(store.tensors.mapValues(\.shape) == ["embed_tokens.weight": [5, 9]])
    let state = try withTorch { embedding(tokens) }
    #expect(state.shape == [1, 4, 3, 3])
    let row = try embedding.table.values.select(0, 4).elements(Float.self)
    #expect(try state.select(0, 0).select(0, 2).elements(Float.self) == row)
  }

  @Test func aNarrowTableIsExpanded() throws {
    let store = WeightStore(seed: 1)
    let embedding = try embedding(VirtualWidth(fractionRate: 2, slots: 3), store)
    #expect(store.tensors.mapValues(\.shape) == ["embed_tokens.weight": [5, 6], "embed_expand.weight": [9, 6]])
    let state = try withTorch { embedding(tokens) }
    #expect(state.shape == [1, 4, 3, 3])
    let expected = try withTorch {
      try #require(store.tensors["embed_expand.weight"]).to(.float64)
        .matmul(embedding.table.values.select(0, 4).to(.float64).unsqueezed(-1)).reshaped(3, 3)
    }
    #expect(try relativeError(of: state.select(0, 0).select(0, 2), to: expected) < 1e-6)
  }

  @Test func withoutWidthThereIsOneSlot() throws {
    let store = WeightStore(seed: 1)
    #expect(try embedding(nil, store)(tokens).shape == [1, 4, 1, 6])
    #expect(try embedding(nil, WeightStore(seed: 1), .bfloat16)(tokens).dtype == .bfloat16)
  }

  private func reduce(_ width: VirtualWidth, _ weights: [String: Tensor]) throws -> Reduce {
    let store = WeightStore(stored: weights, mutable: false)
    let reduce = try Reduce(width, hiddenSize: 6, epsilon: 1e-5, start: .standard, in: store.root)
    try store.requireNothingLeft()
    return reduce
  }

  @Test func groupsOfDChannelsAreNormalized() throws {
    let random = try RandomTensors(seed: 3)
    let state = random.normal(2, 3, 6, 3, around: 2)
    let (gain, bias, map) = (random.normal(18), random.normal(18), random.normal(6, 18))
    let reduce = try reduce(
      VirtualWidth(fractionRate: 2, slots: 6),
      ["reduce.weight": map, "reduce_norm.weight": gain, "reduce_norm.bias": bias])
    let expected = try withTorch {
      // Two slots of three channels are a run of D = 6.
      let runs = state.to(.float64).reshaped(2, 3, 3, 6)
      let centered = runs - runs.mean(-1, keep: true)
      let normal = centered / ((centered * centered).mean(-1, keep: true) + 1e-5).squareRoot()
      return (normal.reshaped(2, 3, 18) * gain + bias).matmul(map.to(.float64).transposed())
    }
    #expect(try relativeError(of: withTorch { reduce(state) }, to: expected) < 2e-6)
  }

  @Test func aWidthThatIsNotWholeIsOnlyMapped() throws {
    let random = try RandomTensors(seed: 3)
    let (state, map) = (random.normal(2, 3, 3, 3), random.normal(6, 9))
    let reduce = try reduce(VirtualWidth(fractionRate: 2, slots: 3), ["reduce.weight": map])
    let expected = try withTorch { state.to(.float64).reshaped(2, 3, 9).matmul(map.to(.float64).transposed()) }
    #expect(try relativeError(of: withTorch { reduce(state) }, to: expected) < 2e-6)
  }
}
