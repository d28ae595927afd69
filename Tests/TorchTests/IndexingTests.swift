import Testing
import WidebandTorch

@Suite struct IndexingTests {
  let table = matrix([[0, 1], [10, 11], [20, 21]])

  @Test func gathering() throws {
    let indices = Tensor([Int64(1), 0, 0, 1, 1, 1], shape: [3, 2])
    try expect([1, 0, 10, 11, 21, 21], shape: [3, 2]) { table.gather(indices, axis: 1) }
    try expect([20, 21], shape: [1, 2]) { table.gather(Tensor([Int64(2), 2], shape: [1, 2]), axis: 0) }
  }

  @Test func scattering() throws {
    let indices = Tensor([Int64(1), 0, 1], shape: [3, 1])
    try expect([0, 9, 9, 11, 20, 9]) {
      let written = table.cloned()
      written.fill(9, at: indices, axis: 1)
      return written
    }
    try expect([0, 1, 10, 11, 20, 21]) { table }
  }

  @Test func indexSelect() throws {
    try expect([20, 21, 0, 1, 20, 21], shape: [3, 2]) { table.indexSelect(integers(2, 0, 2)) }
    try expect([1, 11, 21], shape: [3, 1]) { table.indexSelect(integers(1), axis: 1) }
  }

  @Test func addingRows() throws {
    let source = matrix([[1, 1], [2, 2], [4, 4]])
    try expect([2, 3, 10, 11, 25, 26]) { table.addingRows(integers(2, 0, 2), source) }
    try expect([5, 1, 15, 11, 25, 21]) { table.addingRows(integers(0), axis: 1, .full([3, 1], 5)) }
    try expect([0, 1, 10, 11, 20, 21]) { table }
  }

  @Test func embedding() throws {
    let tokens = Tensor([Int64(2), 0, 1, 1], shape: [2, 2])
    try expect([20, 21, 0, 1, 10, 11, 10, 11], shape: [2, 2, 2]) { table.embedding(tokens) }
  }

  @Test func embeddingGradientCountsEveryUse() throws {
    let weight = try withTorch { table.cloned().requiringGradient() }
    try withTorch { weight.embedding(integers(2, 0, 2)).sum().backward() }
    try expect([1, 1, 0, 0, 2, 2]) { weight.gradient ?? .zeros([]) }
  }

  @Test func copyingConverts() throws {
    let target = Tensor.zeros([3], .int64)
    target.copy(from: vector(1.9, -2.9, 3))
    try expect([1, -2, 3]) { target }
    target.fill(4)
    try expect([4, 4, 4]) { target }
  }
}
