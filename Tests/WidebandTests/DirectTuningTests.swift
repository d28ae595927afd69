import Foundation
import TestSupport
import Testing
import Wideband

/// Tuning a trained model for direct decoding, through the command.
struct DirectTuningTests {
  private let tune: Tuning
  private var workspace: Workspace { tune.workspace }
  private var folder: TemporaryFolder { tune.folder }

  init() throws {
    tune = try Tuning("direct-select.yaml", "direct_decoding.decoding_layers=1", "direct_decoding.cycles=[2,3]")
  }

  @Test func tuned_evaluateAndGenerate() throws {
    let result = try tune()
    #expect(result.status == 0)
    let best = folder("run/best")
    let metrics = try MetricsFile.read(folder("run/metrics.jsonl"))
    #expect(metrics.count == 12)
    #expect(metrics.last?.values["train/phase_0"] != nil)
    #expect(metrics.last?.values["train/distillation"] != nil)
    #expect(metrics.last?.values["validation/phase_2"] != nil)
    let saved = try String(contentsOf: folder.url("run/recipe.yaml"), encoding: .utf8)
    #expect(saved.contains(URL(filePath: workspace.model).standardizedFileURL.path))
    #expect(saved.contains("hidden_size: 16"))

    let table = try Executable.run(
      "evaluate", "--model", best, "--data", workspace("tokens"), "--length", "32", "--cycle", "1,3,6", "--untuned",
      workspace.model)
    #expect(table.errors == "")
    let lines = table.output.split(separator: "\n")
    #expect(lines.count == 6)
    #expect(
      lines[0] == "         cycle bits per byte     retention      accuracy     retention   bits per byte by phase")
    #expect(lines[1].hasPrefix("       untuned"))
    #expect(lines[3].split(separator: " ").count == 8 + 3)
    #expect(lines[4].split(separator: " ").count == 8 + 6)
    #expect(lines[5].hasSuffix(" tokens, each of them at every phase"))
    let json = try Executable.run(
      "evaluate", "--model", best, "--data", workspace("tokens"), "--length", "32", "--cycle", "3", "--json")
    let evaluation = try JSONDecoder().decode(DirectEvaluation.self, from: Data(json.output.utf8))
    #expect(evaluation.cycles.map(\.cycle) == [3])
    #expect(evaluation.untuned == nil)

    let text = try Executable.run("generate", "--model", best, "--prompt", "And", "--cycle", "3", "--max-tokens", "5")
    #expect(text.status == 0)
    expectError(
      try Executable.run("generate", "--model", best, "--prompt", "And", "--cycle", "4"),
      "cycle is 4: expected 1 to 3, the longest that the model was tuned for (direct_decoding.cycle)")
  }

  @Test func untuned_evaluateWithSplit() throws {
    func evaluate(_ arguments: String...) throws -> Executable.Result {
      try Executable.run(
        ["evaluate", "--model", workspace.model, "--data", workspace("tokens"), "--length", "32"] + arguments)
    }
    let itself = try evaluate("--cycle", "1,2", "--decoding-layers", "1", "--untuned", workspace.model)
    #expect(itself.status == 0)
    #expect(itself.output.split(separator: "\n")[2].contains(" 100.00 % "))
    expectError(
      try evaluate("--cycle", "1,2"),
      "\(workspace.model)/config.json has no direct_decoding: expected --decoding-layers with --cycle")
    expectError(
      try evaluate("--cycle", "1,two", "--decoding-layers", "1"),
      "--cycle is 1,two: expected numbers from 1 to 1024 with commas between them")
    expectError(
      try evaluate("--length", "65"),
      "--length is 65: expected at most 64, what the model's context holds (max_position_embeddings)")
    expectError(
      try evaluate("--untuned", workspace.model), "--untuned is given without --cycle: expected both")
    expectError(
      try evaluate("--cycle", "17", "--decoding-layers", "1"),
      "cycles of 17 tokens: expected 1 to 16, what is left of 32 tokens after a prompt of half")
  }

  @Test func tuning_needsStart() throws {
    let nowhere = folder("nowhere")
    expectError(try tune(from: nowhere), "\(nowhere): there is no such model folder")
    expectError(
      try tune("model.hidden_size=32"),
      "\(tune.recipe): model is not that of \(workspace.model)/config.json: expected the same, or no key 'model'")
    expectError(
      try folder.run("train", "--recipe", tune.recipe, "--data", workspace("tokens"), "--output", "run"),
      "\(tune.recipe): no model: expected --from, or a key 'from' or 'model'")
    #expect(!FileManager.default.fileExists(atPath: folder("run")))
  }
}
