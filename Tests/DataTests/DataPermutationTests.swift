import Testing

@testable import WidebandData

@Suite struct DataPermutationTests {
  @Test(arguments: [1, 2, 3, 4, 5, 16, 17, 100, 1023, 4097])
  func permutation_isBijective(count: Int) {
    let permutation = DataPermutation(count: count, key: 7)
    #expect((0..<count).map { permutation($0) }.sorted() == Array(0..<count))
  }

  @Test func permutation_dependsOnKey() {
    let orders = (0..<20).map { key in
      let permutation = DataPermutation(count: 50, key: UInt64(key))
      return (0..<50).map { permutation($0) }
    }
    #expect(Set(orders).count == 20)
    #expect(!orders.contains(Array(0..<50)))
  }

  @Test func permutation_isUniform() {
    // Over many keys each number lands in each place about equally often: the chi-squared statistic of 8 places
    // has mean 7 and standard deviation 3.7.
    var counts = [Int](repeating: 0, count: 64)
    for key in 0..<8000 {
      let permutation = DataPermutation(count: 8, key: DataPermutation.hash(UInt64(key), key: 1))
      for index in 0..<8 { counts[8 * index + permutation(index)] += 1 }
    }
    for index in 0..<8 {
      let statistic = counts[(8 * index)..<(8 * index + 8)].reduce(0.0) {
        $0 + Double(($1 - 1000) * ($1 - 1000)) / 1000
      }
      #expect(statistic < 30)
    }
  }

  @Test func permutation_isStable() {
    // A different order would change the batches of resumed runs.
    let permutation = DataPermutation(count: 10, key: 42)
    #expect((0..<10).map { permutation($0) } == [7, 4, 8, 3, 2, 6, 1, 0, 5, 9])
  }
}

@Suite struct DataSplitTests {
  @Test(arguments: [0.05, 0.01, 0.3, 0.5, 0.7])
  func split_fraction_isUniform(fraction: Double) {
    let split = DataSplit(fraction: fraction, seed: 3)
    let held = (0..<10_000).filter { split($0) == .validation }
    #expect(abs(Double(held.count) - 10_000 * fraction) <= 1)
    for start in stride(from: 0, to: 10_000, by: 1000) {
      let part = held.count { (start..<(start + 1000)).contains($0) }
      #expect(abs(Double(part) - 1000 * fraction) <= 2)
    }
  }

  @Test func split_tinyFraction() {
    let split = DataSplit(fraction: 3e-7, seed: 3)
    #expect((0..<10_000_000).count { split($0) == .validation } == 3)
    for fraction in [1e-9, 1e-12, 1e-18] {
      let split = DataSplit(fraction: fraction, seed: 3)
      // At most one of these, and no overflow far beyond the first.
      #expect((0..<1000).count { split($0) == .validation } <= 1)
      #expect(((1 << 40)..<(1 << 40) + 1000).count { split($0) == .validation } <= 1)
    }
  }

  @Test(arguments: [0, 1e-19, 1e-300, .leastNonzeroMagnitude])
  func split_negligibleFraction_holdsNothingOut(fraction: Double) {
    let split = DataSplit(fraction: fraction, seed: 3)
    #expect((0..<1000).allSatisfy { split($0) == .train })
  }

  @Test func split_dependsOnSeed() {
    func held(_ seed: UInt64) -> [Int] {
      (0..<1000).filter { DataSplit(fraction: 0.05, seed: seed)($0) == .validation }
    }
    #expect(held(1) == held(1))
    #expect(held(1) != held(2))
  }
}
