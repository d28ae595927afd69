import Foundation
import Testing
import WidebandCheckpoint
import WidebandTorch

@testable import WidebandDecoding
@testable import WidebandVerification

@Test(arguments: Fixtures.models, Kernels.allCases) func fixturesPass(name: String, kernels: Kernels) throws {
  let verification = try Kernels.$selected.withValue(kernels) { try Verification(Fixtures.url(name)) }
  #expect(verification.outputs.first?.name == "logits")
  for measurement in verification.outputs + verification.gradients {
    #expect(measurement.passes, "\(measurement.name): \(measurement.error)")
  }
  #expect(verification.passes)
  if name.hasPrefix("models/") {
    #expect(verification.gradients.count > 10)
    #expect(verification.outputs.contains { $0.name == "loss.total" })
    #expect(!verification.greedy.isEmpty)
    #expect(verification.greedy.allSatisfy { $0.firstDifference == nil && $0.count > 5 })
  }
  let isDirect = name.hasPrefix("models/direct-")
  #expect((verification.outputs.map(\.name).suffix(2) == ["gated_logits", "gated_loss"]) == isDirect)
  let cycleCount = verification.greedy.count { $0.cycle != nil }
  #expect(cycleCount == (isDirect ? 3 : 0))
}

/// A copy of a fixture with some of its expected tensors changed; nil removes one.
private func folder(
  _ name: String = "models/width-1.5-mtp", changing changes: [String: (Tensor) -> Tensor?]
) throws -> TemporaryFolder {
  let folder = try TemporaryFolder(copying: name)
  let url = folder.url.appending(path: "expected.safetensors")
  var tensors = try SafetensorsFile(url).tensors()
  try withTorch {
    for (name, change) in changes { tensors[name] = change(tensors[name] ?? .zeros([1])) }
    try Safetensors.write(tensors.map { ($0.key, $0.value) }, to: url)
  }
  return folder
}

@Test func everyDeviationIsFound() throws {
  let logits = try Verification(folder(changing: ["logits": { $0 * 1.0001 }]).url)
  #expect(!logits.passes)
  #expect(logits.outputs.filter { !$0.passes }.map(\.name) == ["logits"])
  #expect(abs(logits.outputs[0].error - 1e-4) < 2e-6)

  let loss = try Verification(folder(changing: ["loss.next_2_token": { $0 + 0.001 }]).url)
  #expect(loss.outputs.filter { !$0.passes }.map(\.name) == ["loss.next_2_token"])
  #expect(!loss.passes)

  let weight = "model.layers.1.mlp.up_proj.weight"
  let gradient = try Verification(folder(changing: ["grad.\(weight)": { $0 * 1.01 }]).url)
  #expect(gradient.worstGradient?.name == weight)
  #expect(gradient.gradients.filter { !$0.passes }.map(\.name) == [weight])
  #expect(!gradient.passes)

  let broken = try Verification(folder(changing: ["grad.\(weight)": { $0 * .nan }]).url)
  #expect(broken.worstGradient?.name == weight)
  #expect(broken.gradients.filter { !$0.passes }.map(\.name) == [weight])
  #expect(!broken.passes)
}

@Test func aGradientExpectedToBeZeroIsMeasuredAsItIs() throws {
  let weight = "model.norm.weight"
  let zero = try Verification(folder(changing: ["grad.\(weight)": { $0 * 0 }]).url)
  let exact = try SafetensorsFile(Fixtures.url("models/width-1.5-mtp/expected.safetensors"))
    .tensor("grad.\(weight)").norm().item()
  #expect(abs((zero.worstGradient?.error ?? 0) - exact) < 1e-5)
}

/// A continuation of 19 tokens whose tenth is another one.
private func otherToken(_ tokens: Tensor) -> Tensor {
  (tokens + (Tensor.range(0..<19) .== 9).to(.int64)).remainder(by: 61)
}

@Test func aDifferentGreedyTokenIsFound() throws {
  let verification = try Verification(folder("models/direct-plain", changing: ["greedy.plain": otherToken]).url)
  #expect(verification.greedy.map(\.count) == [14, 14, 14, 14])
  #expect(verification.greedy.map(\.firstDifference) == [4, nil, nil, nil])
  #expect(!verification.passes)
}

@Test func deviationsOfGatedOutputsAreFound() throws {
  let logits = try Verification(folder("models/direct-width-2", changing: ["gated_logits": { $0 * 1.0001 }]).url)
  #expect(logits.outputs.filter { !$0.passes }.map(\.name) == ["gated_logits"])
  let gate = try Verification(folder("models/direct-select", changing: ["gate": { ($0 .== 0).to(.int64) }]).url)
  #expect(gate.outputs.filter { !$0.passes }.map(\.name) == ["gated_logits", "gated_loss"])
  let greedy = try Verification(folder("models/direct-plain", changing: ["greedy.cycle_3": otherToken]).url)
  #expect(greedy.greedy.map(\.cycle) == [nil, 1, 2, 3])
  #expect(greedy.greedy.map(\.firstDifference) == [nil, nil, nil, 4])
  #expect(!greedy.passes)
}

@Test func gatedOutputsNeedALayerSplit() throws {
  let folder = try TemporaryFolder(copying: "models/direct-plain")
  try folder.changeConfiguration { $0.replacing("\"direct_decoding\"", with: "\"indirect_decoding\"") }
  #expect(
    message { _ = try Verification(folder.url) }
      == "\(ModelFolder(folder.url).url.path): direct_decoding is missing: "
      + "expected encoding_layers, decoding_layers, cycle and gate")
}

/// A change to one expected tensor that makes it unusable, and what is said about it.
struct Damage: Sendable {
  let name: String
  let error: String
  let change: @Sendable (Tensor) -> Tensor?

  init(_ name: String, _ error: String, _ change: @escaping @Sendable (Tensor) -> Tensor?) {
    self.name = name
    self.error = error
    self.change = change
  }
}

@Test(
  arguments: [
    Damage("tokens", "tensor 'tokens' is missing") { _ in nil },
    Damage("logits", "tensor 'logits' is missing") { _ in nil },
    Damage("targets", "tensor 'targets' is missing") { _ in nil },
    Damage("tokens", "tensor 'tokens' holds the id") { $0 + 61 },
    Damage("tokens", "tensor 'tokens' is float32 of shape [2, 11]: expected int64 of two axes, not empty") {
      $0.to(.float32)
    },
    Damage("targets", "tensor 'targets' has shape [2, 10]: expected that of 'tokens', [2, 11]") { $0.slice(1, 1...) },
    Damage("logits", "tensor 'logits' has shape [2, 10, 61]: the model gives [2, 11, 61]") { $0.slice(1, 1...) },
    Damage("gate", "tensor 'gate' has shape [2, 10]: expected that of 'tokens', [2, 11]") {
      ($0.rank == 2 ? $0 : .zeros([2, 11], .int64)).slice(1, 1...)
    },
    Damage("loss.next_9_token", "tensor 'loss.next_9_token' is no loss of this model") { $0 },
    Damage("grad.model.what", "tensor 'grad.model.what' belongs to no weight of this model") { $0 },
    Damage("logit", "tensor 'logit' is nothing that can be verified") { $0 },
    Damage("prompt", "tensor 'greedy.plain' does not continue 'prompt', or the first row of 'tokens' without one") {
      _ in Tensor([Int64(60), 60], shape: [1, 2])
    },
  ]
)
func unusableExpectationsAreRefused(damage: Damage) throws {
  let folder = try folder(changing: [damage.name: damage.change])
  let file = ModelFolder(folder.url).url.appending(path: "expected.safetensors").path
  let text = try #require(message { _ = try Verification(folder.url) })
  #expect(text.hasPrefix("\(file): \(damage.error)"), "\(text)")
}

@Test func aFolderWithoutExpectationsIsRefused() throws {
  let folder = try TemporaryFolder(copying: "models/plain")
  let file = ModelFolder(folder.url).url.appending(path: "expected.safetensors")
  try FileManager.default.removeItem(at: file)
  #expect(message { _ = try Verification(folder.url) } == "\(file.path): cannot be opened: No such file or directory")
}

@Test func aModelThatDoesNotFitItsConfigurationIsRefused() throws {
  let folder = try TemporaryFolder(copying: "models/plain")
  let url = ModelFolder(folder.url).url
  try folder.changeConfiguration {
    $0.replacing("\"num_key_value_heads\": 2", with: "\"num_key_value_heads\": 3")
  }
  #expect(
    message { _ = try Verification(folder.url) }
      == "\(url.path): num_key_value_heads is 3: expected a divisor of num_attention_heads, which is 4")
  try folder.changeConfiguration {
    $0.replacing("\"num_key_value_heads\": 3", with: "\"num_key_value_heads\": 2")
      .replacing("\"num_hidden_layers\": 3", with: "\"num_hidden_layers\": 2")
  }
  #expect(
    message { _ = try Verification(folder.url) }?.hasPrefix("\(url.path): unexpected tensor 'model.layers.2.") == true)
}
