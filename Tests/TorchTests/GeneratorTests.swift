import Testing
import WidebandTorch

@Suite struct GeneratorTests {
  private func sample(_ generator: Generator, _ count: Int = 5) throws -> [Float] {
    try withTorch { try Tensor.normal([count], from: generator).elements() }
  }

  private func sample(seed: UInt64) throws -> [Float] { try sample(Generator(seed: seed)) }

  @Test func theSeedDeterminesTheStream() throws {
    let generator = try Generator(seed: 7)
    let (numbers, next) = try (sample(generator), sample(generator))
    let (same, other) = try (sample(seed: 7), sample(seed: 8))
    #expect(numbers == same)
    #expect(numbers != other)
    #expect(numbers != next)
    let (largest, again) = try (sample(seed: .max), sample(seed: .max))
    #expect(largest == again)
  }

  @Test func streamsDoNotDisturbEachOther() throws {
    let (one, other, alone) = try (Generator(seed: 1), Generator(seed: 2), Generator(seed: 1))
    _ = try (sample(one), sample(other), sample(alone))
    let (found, expected) = try (sample(one), sample(alone))
    #expect(found == expected)
  }
}
