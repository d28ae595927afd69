import Testing
import WidebandTorch

@testable import WidebandDecoding

/// Rows `[1, 2, count, 3]` filled with one value.
private func rows(_ count: Int, _ value: Double, _ dtype: DType = .float32) -> Tensor {
  .full([1, 2, count, 3], value, dtype)
}

@Test func keysAndValuesComeBackInOrder() throws {
  let cache = SequenceKVCache(layerCount: 2, capacity: 2, maximumLength: 16)
  _ = cache.extend(layer: 0, keys: rows(2, 1), values: rows(2, -1))
  let (keys, values) = cache.extend(layer: 0, keys: rows(3, 2), values: rows(3, -2))
  #expect(keys.shape == [1, 2, 5, 3])
  #expect(try keys.select(1, 1).select(2, 0).elements(Float.self) == [1, 1, 2, 2, 2])
  #expect(try values.select(1, 0).select(2, 2).elements(Float.self) == [-1, -1, -2, -2, -2])
  #expect(cache.length == 0, "the second layer has nothing yet")
  _ = cache.extend(layer: 1, keys: rows(5, 0), values: rows(5, 0))
  #expect(cache.length == 5)
}

@Test func capacityDoublesUpToTheMaximum() throws {
  let cache = SequenceKVCache(layerCount: 1, capacity: 2, maximumLength: 6)
  var capacities: [Int] = []
  for step in 0..<6 {
    _ = cache.extend(layer: 0, keys: rows(1, Double(step)), values: rows(1, 0))
    capacities.append(cache.capacity)
  }
  #expect(capacities == [2, 2, 4, 4, 6, 6])
  let (keys, _) = cache.extend(layer: 0, keys: rows(0, 0), values: rows(0, 0))
  #expect(try keys.select(1, 0).select(2, 0).elements(Float.self) == [0, 1, 2, 3, 4, 5])
}

@Test func rowsAreWrittenInPlace() throws {
  let cache = SequenceKVCache(layerCount: 1, capacity: 4, maximumLength: 4)
  let (first, _) = cache.extend(layer: 0, keys: rows(2, 1), values: rows(2, 1))
  cache.truncate(to: 1)
  let (second, _) = cache.extend(layer: 0, keys: rows(1, 7), values: rows(1, 7))
  #expect(try second.select(1, 0).select(2, 0).elements(Float.self) == [1, 7])
  #expect(try first.select(1, 0).select(2, 0).elements(Float.self) == [1, 7], "an older view shows the same memory")
}

@Test func aResetCacheTakesAnotherShapeAndType() throws {
  let cache = SequenceKVCache(layerCount: 1, maximumLength: 8)
  _ = cache.extend(layer: 0, keys: rows(2, 1), values: rows(2, 1))
  cache.reset()
  #expect(cache.length == 0)
  let (keys, _) = cache.extend(layer: 0, keys: .ones([3, 2, 1, 3], .bfloat16), values: .ones([3, 2, 1, 3], .bfloat16))
  #expect(keys.shape == [3, 2, 1, 3])
  #expect(keys.dtype == .bfloat16)
}

@Test func theRemainsOfAFailedPassStayOut() throws {
  let cache = SequenceKVCache(layerCount: 1, maximumLength: 8)
  let error = message {
    try withTorch {
      let broken = Tensor.ones([2]).matmul(.ones([3]))
      _ = cache.extend(layer: 0, keys: broken, values: broken)
    }
  }
  #expect(error?.hasPrefix("matmul(float32[2], float32[3])") == true)
  #expect(cache.length == 0)
}

@Test func aFailedAllocationKeepsWhatIsThere() throws {
  let cache = SequenceKVCache(layerCount: 1, capacity: 2, maximumLength: 1 << 50)
  _ = cache.extend(layer: 0, keys: rows(2, 1), values: rows(2, -1))
  // More than any machine's memory.
  #expect(throws: TorchError.self) {
    try withTorch { _ = cache.reservePositions(layer: 0, count: 1 << 49, heads: 2, headSize: 3, like: rows(1, 0)) }
  }
  #expect(cache.length == 2 && cache.capacity == 2)
  let (keys, values) = cache.extend(layer: 0, keys: rows(1, 2), values: rows(1, -2))
  #expect(try keys.select(1, 0).select(2, 0).elements(Float.self) == [1, 1, 2])
  #expect(try values.select(1, 0).select(2, 0).elements(Float.self) == [-1, -1, -2])
}
