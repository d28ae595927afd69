import Testing
import WidebandLanguageModel
import WidebandTorch

@testable import WidebandDecoding

@Test func layersAndBytesPerTokenAreThoseOfTheFormula() throws {
  let model = try DirectModel(kind: .plain, encoding: 1, decoding: 1, gate: .add).model()
  // D 24, four query and two key/value heads of 8, F 40; norms of two times 24 and two times 8.
  let layer = 4.0 * Double(24 * (32 + 16 + 16) + 32 * 24 + 3 * 24 * 40 + 2 * 24 + 2 * 8)
  let head = 4.0 * Double(61 * 24 + 24)
  let ordinary = try DirectDecodingCost(model, cycle: nil)
  #expect(ordinary.layersPerToken == 1)
  #expect(ordinary.bytesPerToken == 5 * layer + head)
  #expect(ordinary.bound == 1)
  let direct = try DirectDecodingCost(model, cycle: 4)
  #expect(direct.layersPerToken == (2 + 0.75) / 5)
  #expect(direct.bytesPerToken == 2.75 * layer + head)
  #expect(direct.bound == (5 * layer + head) / (2.75 * layer + head))
}

@Test func quantizedWeightsAreReadAsTheyLie() throws {
  let floats = try DirectModel(kind: .plain, encoding: 1, decoding: 1, gate: .add).model()
  var configuration = floats.configuration
  configuration.quantization = .int8
  let stored = Dictionary(uniqueKeysWithValues: floats.weights.tensors.map { ($0.key, $0.value) })
  let model = try LanguageModel(
    configuration, weights: WeightStore(stored: stored, mutable: false, quantizing: .int8))
  // A row of 24 or 32 numbers has one scale of two bytes, one of 40 two.
  let maps = 64 * (24 + 2) + 24 * (32 + 2) + 80 * (24 + 2) + 24 * (40 + 4)
  let layer = Double(maps) + 4.0 * Double(2 * 24 + 2 * 8)
  let head = Double(61 * (24 + 2)) + 4.0 * 24
  let cost = try DirectDecodingCost(model, cycle: 4)
  #expect(cost.ordinaryBytesPerToken == 5 * layer + head)
  #expect(cost.bytesPerToken == 2.75 * layer + head)
}

@Test func aBlockOfTokensReadsMoreExperts() throws {
  let model = try DirectModel(kind: .experts, encoding: 1, decoding: 1, gate: .add).model()
  let expert = 4.0 * Double(3 * 24 * 16)
  let one = try DirectDecodingCost(model, cycle: 1)
  let two = try DirectDecodingCost(model, cycle: 2)
  #expect(abs(one.bytesPerToken - one.ordinaryBytesPerToken) < 1e-6)
  // Three thinking layers: of four experts one token chooses two, two tokens three on average.
  let dense = (one.ordinaryBytesPerToken - 4.0 * Double(61 * 24 + 24) - 10 * expert) / 5
  #expect(abs(one.bytesPerToken - two.bytesPerToken - 3 * (dense / 2 + (2 - 1.5) * expert)) < 1e-6)
}

@Test func textsThatAreDecodedTogetherShareWhatTheyRead() throws {
  let plain = try DirectModel(kind: .plain, encoding: 1, decoding: 1, gate: .add).model()
  let (alone, three) = try (
    DirectDecodingCost(plain, cycle: 4), DirectDecodingCost(plain, cycle: 4, sequences: 3)
  )
  #expect(abs(three.bytesPerToken - alone.bytesPerToken / 3) < 1e-6)
  #expect(abs(three.bound - alone.bound) < 1e-9)
  // Of four experts one token chooses two, two tokens three on average.
  let experts = try DirectModel(kind: .experts, encoding: 1, decoding: 1, gate: .add).model()
  let (one, two) = try (DirectDecodingCost(experts, cycle: nil), DirectDecodingCost(experts, cycle: nil, sequences: 2))
  let expert = 4.0 * Double(3 * 24 * 16)
  #expect(abs(2 * two.bytesPerToken - one.bytesPerToken - 5 * expert) < 1e-6)
}
