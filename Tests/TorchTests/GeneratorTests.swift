import Testing
import Torch

@Suite struct GeneratorTests {
  private func draw(_ generator: Generator, _ count: Int = 5) throws -> [Float] {
    try withTorch { try Tensor.normal([count], from: generator).elements() }
  }

  private func draw(seed: UInt64) throws -> [Float] { try draw(Generator(seed: seed)) }

  @Test func theSeedDeterminesTheStream() throws {
    let generator = try Generator(seed: 7)
    let (numbers, next) = try (draw(generator), draw(generator))
    let (same, other) = try (draw(seed: 7), draw(seed: 8))
    #expect(numbers == same)
    #expect(numbers != other)
    #expect(numbers != next)
    let (largest, again) = try (draw(seed: .max), draw(seed: .max))
    #expect(largest == again)
  }

  /// An odd count leaves half of a pair of normal numbers behind, which belongs to the state.
  @Test(arguments: [0, 1, 3, 16, 17, 1000]) func aSavedStateContinuesTheStream(after count: Int) throws {
    let generator = try Generator(seed: 7)
    if count > 0 { _ = try draw(generator, count) }
    let state = try generator.state()
    let expected = try draw(generator, 3) + draw(generator, 20)
    let restored = try Generator(seed: 0)
    for stream in [restored, generator] {
      try stream.restore(state)
      let found = try draw(stream, 3) + draw(stream, 20)
      #expect(found == expected)
    }
  }

  @Test func streamsDoNotDisturbEachOther() throws {
    let (one, other, alone) = try (Generator(seed: 1), Generator(seed: 2), Generator(seed: 1))
    _ = try (draw(one), draw(other), draw(alone))
    let (found, expected) = try (draw(one), draw(alone))
    #expect(found == expected)
  }

  @Test(arguments: [0, 1, 16]) func aStateOfTheWrongSizeIsAnError(_ count: Int) throws {
    let generator = try Generator(seed: 7)
    let error = #expect(throws: TorchError.self) { try generator.restore([UInt8](repeating: 1, count: count)) }
    #expect(error?.description.hasPrefix("generator state of \(count) bytes: ") == true)
    let (found, expected) = try (draw(generator), draw(seed: 7))
    #expect(found == expected)
  }

  @Test func aStateWithWrongContentIsAnError() throws {
    let generator = try Generator(seed: 7)
    let size = try generator.state().count
    #expect(throws: TorchError.self) { try generator.restore([UInt8](repeating: 0xff, count: size)) }
    let (found, expected) = try (draw(generator), draw(seed: 7))
    #expect(found == expected)
  }
}
