import Foundation
import TestSupport
import Testing
import WidebandCheckpoint
import WidebandTorch

/// `wideband widen` and `convert --narrow`: the outputs, losses, gradients and texts of the plain model stay.
struct WidenTests {
  private static let plain = [
    "models/plain", "models/plain-moe", "models/plain-tied", "models/plain-ungrouped", "models/direct-plain",
    "models/direct-select", "huggingface/qwen3-tied-bfloat16",
  ]
  private static let widths: [(m: Int, n: Int)] = [(1, 1), (1, 4), (2, 3), (3, 8), (4, 4), (4, 16), (8, 64)]

  private func expectSame(_ name: String, _ flags: String...) throws {
    let folder = try TemporaryFolder()
    let source = Fixtures.url(name)
    try folder.run(["widen", source.path, "wide"] + flags).succeeding()
    let expected = source.appending(path: "expected.safetensors")
    try FileManager.default.copyItem(at: expected, to: folder.url("wide/expected.safetensors"))
    let verified = try folder.run("verify", "wide")
    #expect(verified.status == 0, "\(verified.output)")
    try folder.run("convert", "--narrow", "wide", "narrow").succeeding()
    let (before, after) = try (
      ModelFolder(source).readTensors(), ModelFolder(folder.url("narrow")).readTensors()
    )
    let lost = Set(before.keys).subtracting(after.keys)
    // A tied head is not written twice.
    #expect(lost.isSubset(of: ["lm_head.weight"]) && (lost.isEmpty || name.contains("tied")), "\(lost)")
    for (name, tensor) in after { #expect(try before[name]?.isIdentical(to: tensor) == true, "\(name)") }
  }

  @Test(arguments: widths) func everyWidth(m: Int, n: Int) throws {
    try expectSame("models/plain", "--fraction-rate", "\(m)", "--slots", "\(n)")
  }

  @Test(arguments: plain) func everyModel(_ name: String) throws {
    try expectSame(name, "--fraction-rate", "4", "--slots", "16", "--shard-size", "40KB")
  }

  @Test func normMemoryAndStart() throws {
    try expectSame("models/plain-tied", "--fraction-rate", "2", "--slots", "4", "--reduce-norm", "rms")
    try expectSame("models/plain", "--fraction-rate", "2", "--slots", "4", "--start", "random", "--seed", "3")
    try expectSame(
      "models/plain-moe", "--fraction-rate", "1", "--slots", "4", "--memory", "2,3", "--memory-rows", "97")
  }

  @Test("a prediction depth is left out, and that is written") func predictionDepths() throws {
    let folder = try TemporaryFolder()
    let result = try folder.run(
      "widen", Fixtures.url("models/plain-mtp").path, "wide", "--fraction-rate", "1", "--slots", "2"
    ).succeeding()
    #expect(result.output.contains("without its 1 prediction depths"))
    #expect(try !ModelFolder(folder.url("wide")).readTensors().keys.contains { $0.hasPrefix("model.mtp.") })
  }

  @Test("the groups of slots differ from the first step on") func symmetry() throws {
    let folder = try TemporaryFolder()
    try folder.run("widen", Fixtures.url("models/plain").path, "wide", "--fraction-rate", "2", "--slots", "6")
      .succeeding()
    let name = "model.layers.0.mlp_connection.static_beta"
    let write = try #require(try ModelFolder(folder.url("wide")).readTensors()[name])
    let third = Float(1) - Float(1) / 3
    let two = Float(1) - Float(2) / 3
    #expect(try write.elements(Float.self) == [1, 0, 0, 1, third, 0, 0, third, two, 0, 0, two])
  }

  @Test(
    "bad input is one error, and nothing is written",
    arguments: [
      (
        "models/plain", "--fraction-rate 5 --slots 10",
        "virtual_width.fraction_rate is 5: expected a divisor of hidden_size, which is 24"
      ),
      (
        "models/plain", "--fraction-rate 4 --slots 3",
        "virtual_width.slots is 3: expected at least fraction_rate, which is 4"
      ),
      (
        "models/width-1-static", "--fraction-rate 1 --slots 2",
        "virtual_width is there: expected a plain model, without it"
      ),
      ("models/ngram-plain", "--fraction-rate 1 --slots 2", "ngram_memory is there: expected a model without it"),
      (
        "models/plain", "--fraction-rate 1 --slots 2 --memory 2,3 --memory-rows 97",
        "ngram_memory.orders has 2 orders: expected at most 1, the number of groups of virtual_width.fraction_rate slots "
          + "after the first"
      ),
      (
        "models/plain", "--fraction-rate 1 --slots 4 --reduce-norm group",
        "virtual_width.reduce_norm is group: expected none or rms, which keep the logits"
      ),
    ])
  func badInput(_ name: String, _ flags: String, _ sentence: String) throws {
    let folder = try TemporaryFolder()
    let path = Fixtures.url(name).path
    let result = try folder.run(["widen", path, "wide"] + flags.split(separator: " ").map(String.init))
    expectError(result, "\(path): \(sentence)")
    #expect(!folder.exists("wide"))
  }

  @Test func foldersAreRefused() throws {
    let folder = try TemporaryFolder()
    let plain = Fixtures.url("models/plain").path
    let flags = ["--fraction-rate", "2", "--slots", "4"]
    try folder.run(["widen", plain, "wide"] + flags).succeeding()
    let again = try folder.run(["widen", plain, "wide"] + flags)
    #expect(again.status == 1 && again.errors.contains("wide: "), "\(again.errors)")
    try folder.run("quantize", "--model", plain, "--output", "quantized", "--scheme", "int8").succeeding()
    expectError(
      try folder.run(["widen", "quantized", "other"] + flags),
      "quantized: quantization_config is there: expected weights of floats, as the new weights are to be trained")
    expectError(
      try folder.run(["widen", plain, "other", "--memory", "2,x", "--memory-rows", "7"] + flags),
      "--memory is '2,x': expected lengths of n-grams, as in 2,3", status: 64)
    expectError(
      try folder.run(["widen", plain, "other", "--memory", "2"] + flags),
      "--memory and --memory-rows: expected both or neither", status: 64)
    expectError(
      try folder.run("convert", "--narrow", plain, "other"),
      "\(plain): virtual_width is missing: expected a model that was widened")
    let wide = Fixtures.url("models/width-4-no-norm").path
    expectError(
      try folder.run("convert", "--narrow", wide, "other"),
      "\(wide): tensor 'model.embed_expand.weight' has changed: expected the value of a model that was widened and not "
        + "trained since, as no plain model has these logits")
  }
}
