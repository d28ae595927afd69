import TestSupport
import Testing
import WidebandTorch

@testable import WidebandLanguageModel

/// The fused tables of a few positions compared to composed operators.
@Test func rotaryTablesOfFewPositionsAreThoseOfMany() throws {
  let places: [Int64] = [0, 1, 2, 3, 17, 511, 4096, 40_959, 131_071, 1_000_003, 5, 6, 7, 8, 9, 10]
  for count in [1, 3, 16] {
    for (headSize, theta) in [(2, 1e4), (6, 1e4), (64, 5e5), (128, 1e6)] {
      let positions = Tensor(Array(places.prefix(count)))
      let fused = try #require(Tensor.fusedRotaryTables(positions, headSize: headSize, theta: theta))
      let composed = Kernels.$selected.withValue(.composed) {
        Rotary.tables(positions, headSize: headSize, theta: theta)
      }
      for (found, expected) in [(fused.cos, composed.cos), (fused.sin, composed.sin)] {
        #expect(found.shape == [1, count, 1, headSize] && expected.shape == found.shape)
        // Both round the cosine of the same float64 angle to float32, computed by different libraries.
        #expect(try withTorch { try (found - expected).abs().max().item() } <= 6e-8, "\(count) \(headSize)")
      }
    }
  }
  #expect(Tensor.fusedRotaryTables(.range(0..<17), headSize: 64, theta: 1e4) == nil)
  #expect(Tensor.fusedRotaryTables(.zeros([1, 4], .int64), headSize: 64, theta: 1e4) == nil)
  #expect(Tensor.fusedRotaryTables(.zeros([4], .float32), headSize: 64, theta: 1e4) == nil)
  #expect(Tensor.fusedRotaryTables(.range(0..<4), headSize: 7, theta: 1e4) == nil)
}
