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

  /// After an odd count the state contains the second one of a pair of normal samples.
  @Test(arguments: [0, 1, 3, 16, 17, 1000]) func aSavedStateContinuesTheStream(after count: Int) throws {
    let generator = try Generator(seed: 7)
    if count > 0 { _ = try sample(generator, count) }
    let state = try generator.state()
    let expected = try sample(generator, 3) + sample(generator, 20)
    let restored = try Generator(seed: 0)
    for stream in [restored, generator] {
      try stream.restore(state)
      let found = try sample(stream, 3) + sample(stream, 20)
      #expect(found == expected)
    }
  }

  @Test func streamsDoNotDisturbEachOther() throws {
    let (one, other, alone) = try (Generator(seed: 1), Generator(seed: 2), Generator(seed: 1))
    _ = try (sample(one), sample(other), sample(alone))
    let (found, expected) = try (sample(one), sample(alone))
    #expect(found == expected)
  }

  @Test(arguments: [0, 1, 16]) func aStateOfTheWrongSizeIsAnError(_ count: Int) throws {
    let generator = try Generator(seed: 7)
    let error = #expect(throws: TorchError.self) { try generator.restore([UInt8](repeating: 1, count: count)) }
    #expect(error?.description.hasPrefix("generator state of \(count) bytes: ") == true)
    let (found, expected) = try (sample(generator), sample(seed: 7))
    #expect(found == expected)
  }

  @Test func aStateWithWrongContentIsAnError() throws {
    let generator = try Generator(seed: 7)
    let size = try generator.state().count
    #expect(throws: TorchError.self) { try generator.restore([UInt8](repeating: 0xff, count: size)) }
    let (found, expected) = try (sample(generator), sample(seed: 7))
    #expect(found == expected)
  }
}
