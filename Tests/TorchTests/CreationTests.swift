import Testing
import WidebandTorch

@Suite struct CreationTests {
  @Test func constants() throws {
    try expect([0, 0, 0, 0], shape: [2, 2]) { .zeros([2, 2]) }
    try expect([1, 1]) { .ones([2]) }
    try expect([2.5, 2.5]) { .full([2], 2.5, .float64) }
    try expect([7], shape: []) { .full([], 7, .int32) }
    #expect(Tensor.zeros([1]).dtype == .float32)
    #expect(Tensor.ones([1], .bfloat16).dtype == .bfloat16)
  }

  @Test func ranges() throws {
    try expect([2, 3, 4]) { .range(2..<5) }
    try expect([0, 2, 4]) { .range(0..<6, by: 2, .float32) }
    try expect([]) { .range(3..<3) }
    #expect(Tensor.range(0..<3).dtype == .int64)
  }

  @Test func identities() throws {
    try expect([1, 0, 0, 0, 1, 0], shape: [2, 3]) { .identity(2, 3) }
  }

  @Test func randomNumbersFollowTheirDistribution() throws {
    let generator = try Generator(seed: 3)
    let normal = try withTorch { Tensor.normal([20_000], mean: 2, standardDeviation: 0.5, .float64, from: generator) }
    #expect(abs(try normal.mean().item() - 2) < 0.02)
    #expect(abs(try (normal - 2.0).power(2).mean().item() - 0.25) < 0.01)
    let uniform = try withTorch { Tensor.uniform([20_000], in: -1..<3, from: generator) }
    #expect(abs(try uniform.mean().item() - 1) < 0.04)
    #expect(try uniform.max().item() < 3)
    #expect(try uniform.min(0).item() >= -1)
    let sampled = try withTorch { Tensor.integers([7_000], in: 3..<10, from: generator) }
    let counts = try sampled.bincount(10).elements(Int64.self)
    #expect(counts[0..<3] == [0, 0, 0])
    #expect(counts[3...].allSatisfy { $0 > 850 && $0 < 1150 })
  }

  @Test(arguments: DType.allCases) func dtypes_representSmallIntegers(_ dtype: DType) throws {
    let tensor = try withTorch { vector(0, 1, 1).to(dtype) }
    #expect(tensor.dtype == dtype)
    try expect([0, 1, 1]) { tensor }
    try expect([0, 1, 1]) { tensor.to(.int32) }
    try tensor.withContiguousBytes { #expect($0.count == 3 * dtype.size) }
  }

  @Test func conversionsRound() throws {
    try expect([1.0078125, -2]) { vector(1.005, -2).to(.bfloat16) }
    try expect([1.0048828125]) { vector(1.005).to(.float16) }
    try expect([2, -2]) { vector(2.9, -2.9).to(.int64) }
    try expect([.infinity]) { vector(1e6).to(.float16) }
    #expect(DType.allCases.filter(\.isFloatingPoint) == [.float16, .float32, .float64, .bfloat16])
  }
}
