import Foundation
import TestSupport
import Testing
import Wideband
import WidebandCheckpoint

/// Training of LoRA adapters, and commands that use them.
struct LowRankTuningTests {
  private let tune: Tuning
  private var workspace: Workspace { tune.workspace }
  private var folder: TemporaryFolder { tune.folder }

  init() throws { tune = try Tuning("lora.yaml", "lora.rank=4") }

  @Test func adapters_evaluateGenerateConvert() throws {
    let result = try tune().succeeding()
    #expect(result.errors.contains(" parameters, 2048 of adapters, "), "\(result.errors)")
    let best = folder("run/best")
    #expect(!folder.exists("run/best/model.safetensors"))
    try folder.run("convert", "run/best", "fused").succeeding()
    #expect(!folder.exists("fused/adapter_config.json"))
    #expect(
      try ModelFolder(folder.url("fused")).readTensors().keys
        == ModelFolder(URL(filePath: workspace.model)).readTensors().keys)
    func bitsPerByte(_ model: String) throws -> Double {
      let measured = try folder.run(
        "evaluate", "--model", model, "--data", workspace("tokens"), "--length", "32", "--json")
      return try JSONDecoder().decode(Evaluation.self, from: Data(measured.output.utf8)).bitsPerByte
    }
    let (tuned, whole, before) = try (bitsPerByte(best), bitsPerByte("fused"), bitsPerByte(workspace.model))
    #expect(tuned < before)
    #expect(abs(whole - tuned) < 1e-5)
    func text(_ model: String) throws -> String {
      try Executable.run(
        "generate", "--model", model, "--prompt", "And God", "--temperature", "0", "--max-tokens", "12", in: folder.url
      ).output
    }
    #expect(try text(best) == text("fused"))
    let base = URL(filePath: workspace.model).standardizedFileURL.path
    let info = try folder.run("info", best).output
    #expect(info.contains(" MB\nadapters       rank 4, alpha 32.0, for \(base)\n"), "\(info)")
  }

  @Test func adapters_directDecoding() throws {
    try tune(
      "direct_decoding={encoding_layers: 0, decoding_layers: 1, gate: select, cycles: [2, 3], "
        + "objective: distillation, frozen: []}"
    ).succeeding()
    for model in ["run/best", "fused"] {
      if model == "fused" { #expect(try folder.run("convert", "run/best", "fused").status == 0) }
      try folder.run(
        "evaluate", "--model", model, "--data", workspace("tokens"), "--length", "32", "--cycle", "1,3", "--untuned",
        workspace.model
      ).succeeding()
      try folder.run("generate", "--model", model, "--prompt", "And", "--cycle", "3", "--max-tokens", "5").succeeding()
    }
  }

  @Test(arguments: ["int8", "int4"]) func adapters_quantizedBase(scheme: String) throws {
    func run(_ arguments: String...) throws -> Executable.Result {
      let result = try folder.run(arguments).succeeding()
      return result
    }
    _ = try run("quantize", "--model", workspace.model, "--output", "small", "--scheme", scheme)
    try tune(from: "small").succeeding()
    func bitsPerByte(_ model: String) throws -> Double {
      let measured = try run("evaluate", "--model", model, "--data", workspace("tokens"), "--length", "32", "--json")
      return try JSONDecoder().decode(Evaluation.self, from: Data(measured.output.utf8)).bitsPerByte
    }
    _ = try run("convert", "run/best", "fused")
    let (tuned, before, whole) = try (bitsPerByte("run/best"), bitsPerByte("small"), bitsPerByte("fused"))
    #expect(tuned < before)
    #expect(abs(whole - tuned) < 1e-4)
  }

  @Test func resume_afterKill() throws {
    let whole = try tune("checkpoint.interval=1", "validation.interval=3")
    #expect(whole.status == 0)
    try FileManager.default.moveItem(at: folder.url("run"), to: folder.url("whole"))
    let running = try Executable.start(
      tune.arguments(["checkpoint.interval=1", "validation.interval=3"]), in: folder.url)
    while running.process.isRunning, !folder.exists("run/checkpoints/step-00000003") { usleep(500) }
    kill(running.process.processIdentifier, SIGKILL)
    _ = try running.wait()
    #expect(try folder.run("train", "--resume", "--output", "run").status == 0)
    for file in ["adapter_model.safetensors", "optimizer.safetensors"] {
      let path = "checkpoints/step-00000012/\(file)"
      #expect(try Data(contentsOf: folder.url("run/\(path)")) == Data(contentsOf: folder.url("whole/\(path)")))
    }
  }

  @Test func adapters_invalid() throws {
    expectError(
      try tune("lora.rank=0"),
      "\(tune.recipe): lora.rank is 0: expected 1 to model.hidden_size, which is 16")
    expectError(
      try tune("lora.targets=[heads]"),
      "\(tune.recipe): lora.targets[0] is 'heads': expected one of attention, feed_forward")
    #expect(!folder.exists("run"))
    #expect(try tune().status == 0)
    let file = "run/checkpoints/step-00000012/adapter_config.json"
    let text = try folder.read(file)
    try folder.write(
      file, text: text.replacing(URL(filePath: workspace.model).standardizedFileURL.path, with: "/no/where"))
    let sentence =
      "base_model_name_or_path is '/no/where': expected the folder of the model that the adapters are for"
    for command in [["generate", "--prompt", "x"], ["evaluate", "--data", workspace("tokens")]] {
      let result = try folder.run(command + ["--model", "run/checkpoints/step-00000012"])
      expectError(result, "\(folder(file)): \(sentence)")
    }
    expectError(try folder.run("convert", "run/checkpoints/step-00000012", "x"), "\(folder(file)): \(sentence)")
    #expect(!folder.exists("x"))
  }
}
