import Testing
import WidebandTorch

@Suite struct ShapeTests {
  /// 0…23 as [2, 3, 4].
  let t = Tensor((0..<24).map { Float($0) }, shape: [2, 3, 4])

  @Test func sizes() {
    #expect(t.rank == 3)
    #expect(t.shape == [2, 3, 4])
    #expect(t.count == 24)
    #expect(t.size(1) == 3)
    #expect(t.size(-1) == 4)
    #expect(t.size(3) == 0)
    #expect(t.size(-4) == 0)
    #expect(Tensor([Float(1)], shape: []).rank == 0)
  }

  @Test func reshaping() throws {
    #expect(t.reshaped(6, -1).shape == [6, 4])
    #expect(t.reshaped([4, 6]).shape == [4, 6])
    #expect(t.flattened().shape == [24])
    #expect(t.flattened(1).shape == [2, 12])
    #expect(t.flattened(0, 1).shape == [6, 4])
    try expect((0..<24).map(Double.init)) { t.reshaped(3, 8) }
  }

  @Test func axesChangePlaces() throws {
    try expect([0, 2, 1, 3], shape: [2, 2]) { matrix([[0, 1], [2, 3]]).transposed() }
    #expect(t.transposed(0, 2).shape == [4, 3, 2])
    try expect([0, 12, 4, 16]) { t.transposed(0, 2).select(0, 0).slice(0, 0..<2) }
  }

  @Test func partsOfAnAxis() throws {
    try expect([4, 5, 6, 7], shape: [1, 4]) { t.select(0, 0).slice(0, 1..<2) }
    try expect([8, 9, 10, 11, 20, 21, 22, 23], shape: [2, 1, 4]) { t.slice(1, 2...) }
    try expect([3, 7, 11], shape: [3]) { t.select(0, 0).select(1, -1) }
    try expect([23]) { t.select(0, 1).select(0, 2).select(0, 3) }
    let parts = t.split([1, 3])
    #expect(parts.map(\.shape) == [[2, 3, 1], [2, 3, 3]])
    #expect(t.split([1, 2], axis: 1).map(\.shape) == [[2, 1, 4], [2, 2, 4]])
    try expect([1, 2, 3]) { parts[1].select(0, 0).select(0, 0) }
  }

  @Test func slicesStopAtTheEnd() {
    #expect(t.slice(2, 3..<9).shape == [2, 3, 1])
    #expect(t.slice(2, 4..<4).shape == [2, 3, 0])
  }

  @Test func axesOfSizeOne() throws {
    #expect(t.unsqueezed(0).shape == [1, 2, 3, 4])
    #expect(t.unsqueezed(-1).shape == [2, 3, 4, 1])
    #expect(t.unsqueezed(1).squeezed(1).shape == [2, 3, 4])
    #expect(t.squeezed(0).shape == [2, 3, 4])
    try expect([1, 1, 1, 2, 2, 2], shape: [2, 3]) { matrix([[1], [2]]).expanded([2, 3]) }
    #expect(vector(1, 2).expanded([3, -1]).shape == [3, 2])
  }

  @Test func viewsShareMemory() throws {
    let base = Tensor.zeros([2, 3])
    base.slice(1, 1..<2).fill(7)
    base.select(0, 1).select(0, 0).fill(5)
    base.transposed().select(0, 2).copy(from: vector(8, 9))
    base.reshaped(6).slice(0, 0..<1).fill(1)
    try expect([1, 7, 8, 5, 7, 9]) { base }
  }

  @Test func copiesDoNotShareMemory() throws {
    let base = Tensor.zeros([2, 2])
    base.cloned().fill(3)
    base.transposed().contiguous().fill(4)
    base.to(.float64).fill(5)
    try expect([0, 0, 0, 0]) { base }
  }

  @Test func contiguousKeepsWhatIsInOrder() throws {
    let base = Tensor.zeros([2, 2])
    base.contiguous().fill(1)
    base.to(.float32).slice(0, 1...).fill(2)
    base.to(.cpu).select(1, 1).fill(3)
    try expect([1, 3, 2, 3]) { base }
  }

  @Test func rolling() throws {
    try expect([3, 1, 2, 6, 4, 5]) { matrix([[1, 2, 3], [4, 5, 6]]).rolled(1, axis: 1) }
    try expect([4, 5, 6, 1, 2, 3]) { matrix([[1, 2, 3], [4, 5, 6]]).rolled(-1, axis: 0) }
  }

  @Test func joining() throws {
    let a = matrix([[1, 2]])
    let b = matrix([[3, 4]])
    try expect([1, 2, 3, 4], shape: [2, 2]) { .concatenate([a, b]) }
    try expect([1, 2, 3, 4], shape: [1, 4]) { .concatenate([a, b], axis: -1) }
    try expect([1, 2, 3, 4], shape: [2, 1, 2]) { .stack([a, b]) }
    try expect([1, 3, 2, 4], shape: [1, 2, 2]) { .stack([a, b], axis: -1) }
  }
}
