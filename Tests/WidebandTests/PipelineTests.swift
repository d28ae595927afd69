import Foundation
import TestSupport
import Testing
import Wideband

/// The commands from text to a trained model.
final class PipelineTests: WorkspaceTests {
  /// Starts the workspace's run in a folder of this test.
  private func start() throws -> Executable.Running {
    try Executable.start(
      "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", "run", "--set",
      Workspace.steps, in: folder.url)
  }

  private func resume() throws -> Executable.Result {
    try folder.run("train", "--resume", "--output", "run")
  }

  /// Starts the run and sends it a signal after some steps; repeats it if it ended too early.
  private func interrupt(_ signal: Int32, after steps: Int) throws -> Executable.Result {
    while true {
      let running = try start()
      let path = folder("run/metrics.jsonl")
      while running.process.isRunning, ((try? MetricsFile.read(path)) ?? []).count < steps { usleep(1000) }
      kill(running.process.processIdentifier, signal)
      let result = try running.wait()
      if result.status != 0 { return result }
      try FileManager.default.removeItem(at: folder.url("run"))
    }
  }

  /// The metrics of each step of a run, without those that depend on the machine.
  private func metrics(_ run: String) throws -> [[String: Double]] {
    try MetricsFile.read("\(run)/metrics.jsonl").map { line in
      line.values.filter { $0.key != "tokens_per_second" && $0.key != "peak_bytes" }
        .merging(["step": Double(line.step)]) { first, _ in first }
    }
  }

  private func expectResultOfTheUninterruptedRun() throws {
    let mine = folder("run")
    #expect(try metrics(mine) == metrics(workspace("run")))
    #expect(try metrics(mine).map { $0["step"] } == (1...60).map { Double($0) })
    for file in ["model.safetensors", "optimizer.safetensors", "training.json"] {
      let path = "checkpoints/step-00000060/\(file)"
      #expect(
        try Data(contentsOf: folder.url("run/\(path)")) == Data(contentsOf: URL(filePath: workspace("run/\(path)"))))
    }
  }

  @Test func commands_printResults() throws {
    #expect(workspace.outputs[0] == "tokenizer/tokenizer.json: 320 tokens\nstatus 0")
    #expect(workspace.outputs[1].hasPrefix("tokens (written): "))
    #expect(workspace.outputs[1].hasSuffix(" bytes\nstatus 0"))
    #expect(workspace.outputs[2] == "status 0")
    let again = try Executable.run(
      "data", "prepare", "--tokenizer", "tokenizer", "--output", "tokens", "--validation-fraction", "0.2", "text.txt",
      in: workspace.url)
    #expect(again.output.hasPrefix("tokens (up to date): "))
  }

  @Test func decode_invertsEncode() throws {
    let text = "And God said,\tlet there be “light” – 光"
    let ids = try Executable.run("tokenizer", "encode", "--tokenizer", workspace("tokenizer"), text)
    #expect(ids.status == 0)
    let back = try Executable.run(
      "tokenizer", "decode", "--tokenizer", workspace("tokenizer/tokenizer.json"), input: ids.output)
    #expect(back.output == text + "\n")
  }

  @Test func resume_afterKill_isBitIdentical() throws {
    #expect(try interrupt(SIGKILL, after: 5).status == -SIGKILL)
    // A second time, after the checkpoint.
    let again = try Executable.start("train", "--resume", "--output", "run", in: folder.url)
    let path = folder("run/metrics.jsonl")
    while again.process.isRunning, ((try? MetricsFile.read(path)) ?? []).count < 20 { usleep(1000) }
    kill(again.process.processIdentifier, SIGKILL)
    _ = try again.wait()
    let result = try resume()
    #expect(result.status == 0)
    try expectResultOfTheUninterruptedRun()
  }

  @Test(arguments: [SIGINT, SIGTERM]) func signal_savesCheckpoint(_ signal: Int32) throws {
    let result = try interrupt(signal, after: 4)
    #expect(result.status == 130)
    #expect(result.output == "stopped; continue with: wideband train --resume --output run\n")
    #expect(result.errors.contains("\nstopping after this step; once more to leave now\n"))
    let steps = try metrics(folder("run")).count
    #expect(steps < 60)
    #expect(folder.exists("run/checkpoints/step-000000\(steps < 10 ? "0" : "")\(steps)/model.safetensors"))
    #expect(try resume().status == 0)
    try expectResultOfTheUninterruptedRun()
  }

  @Test func evaluate_equalsTraining() throws {
    let result = try Executable.run(
      "evaluate", "--model", workspace.model, "--data", workspace("tokens"), "--length", "32", "--tokens", "256",
      "--json")
    #expect(result.status == 0)
    let evaluation = try JSONDecoder().decode(Evaluation.self, from: Data(result.output.utf8))
    let last = try #require(try metrics(workspace("run")).last)
    #expect(try abs(evaluation.nextTokenLoss - #require(last["validation/next_token"])) < 1e-6)
    #expect(try abs(evaluation.bitsPerByte - #require(last["validation/bits_per_byte"])) < 1e-6)
    #expect(evaluation.tokenCount == 256)
    let text = try Executable.run(
      "evaluate", "--model", workspace.model, "--data", workspace("tokens"), "--length", "32")
    #expect(text.output.hasPrefix("next-token loss  "))
    #expect(text.output.contains("\nbits per byte    "))
  }

  @Test func generate_noCache_isTheSame() throws {
    let result = try Executable.run(
      "generate", "--model", workspace.model, "--prompt", "And God", "--max-tokens", "12", "--seed", "3")
    #expect(result.status == 0)
    #expect(result.errors.contains("12 new tokens"))
    let slow = try Executable.run(
      "generate", "--model", workspace.model, "--max-tokens", "12", "--seed", "3", "--no-cache", input: "And God\n")
    #expect(slow.output == result.output)
  }

  @Test func info_modelAndRecipe() throws {
    let model = try Executable.run("info", workspace.model)
    #expect(model.status == 0)
    #expect(model.output.contains("virtual width  r = 2: 4 slots of 8 channels, 32 in all"))
    let recipe = try Executable.run("info", workspace("recipe.yaml"), "--set", "model.virtual_width.slots=8")
    #expect(recipe.output.contains("virtual width  r = 4: 8 slots of 8 channels, 64 in all"))
  }

  @Test func report_writesPage() throws {
    let run = workspace("run")
    let result = try folder.run("report", "a=\(run)", "b=\(run)", "--output", "page.html", "--tokens", "4")
    #expect(result.status == 0)
    #expect(result.output.contains("\na writes: And God said"))
    #expect(result.output.hasSuffix("curves: page.html\n"))
    let page = try folder.read("page.html")
    #expect(page.hasPrefix("<!DOCTYPE html>\n"))
    #expect(page.hasSuffix("</html>\n"))
    #expect(page.contains("<svg"))
    expectError(
      try folder.run("report", "a=nowhere", "--output", "page.html"),
      "\(folder("nowhere/metrics.jsonl")): there are no metrics")
    expectError(try Executable.run("report", run, "--output", "x"), "'\(run)': expected name=folder")
  }

  @Test(
    "metrics may have any value, and names are escaped",
    arguments: [
      #"{"step":1,"train/next_token":-1.7e308}"#, #"{"step":1,"train/next_token":1e999}"#,
      #"{"step":1,"train/next_token":5.0,"peak_bytes":1e30}"#,
      #"{"step":1,"train/next_token":5.0,"tokens_per_second":"inf","validation/bits_per_byte":"nan"}"#,
      #"{"step":1,"validation/bits_per_byte":1e300,"peak_bytes":-1e300,"tokens_per_second":-1e300}"#,
    ])
  func report_extremes(line: String) throws {
    try FileManager.default.createDirectory(at: folder.url("run"), withIntermediateDirectories: false)
    try FileManager.default.createSymbolicLink(
      at: folder.url("run/best"), withDestinationURL: URL(filePath: workspace.model))
    try folder.write("run/metrics.jsonl", text: "\(line)\n{\"step\":2,\"train/next_token\":1.7e308}\n")
    let result = try folder.run(
      "report", "a\u{1B}c=run", "--output", "page.html", "--tokens", "40", "--prompt", "\u{1B}[31m"
    ).succeeding()
    #expect(!result.output.contains("\u{1B}") && result.output.contains("\na\\u{1b}c writes: \\u{1b}[31m"))
    #expect(try folder.read("page.html").hasSuffix("</html>\n"))
  }

  @Test func train_anyFolderName() throws {
    let name = "it's \"data\": #1 \\n"
    try FileManager.default.copyItem(atPath: workspace("tokens"), toPath: folder(name))
    let result = try folder.run(
      "train", "--recipe", workspace("recipe.yaml"), "--data", name, "--output", "run", "--set", "training.steps=4")
    #expect(result.status == 0, "\(result.errors)")
    #expect(try resume().status == 0)
  }
}
