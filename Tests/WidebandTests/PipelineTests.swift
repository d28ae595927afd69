import Foundation
import Testing
import Training

/// From text to a model that writes, through the command alone.
struct PipelineTests {
  private let workspace: Workspace
  private let folder: TemporaryFolder

  init() throws {
    workspace = try .shared()
    folder = try TemporaryFolder()
  }

  /// Starts the very run that the workspace has, in a folder of this test.
  private func start() throws -> Executable.Running {
    try Executable.start(
      "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", "run", "--set",
      Workspace.steps, in: folder.url)
  }

  private func resume() throws -> Executable.Result {
    try Executable.run("train", "--resume", "--output", "run", in: folder.url)
  }

  /// Starts the run and sends it a signal once it has written down some steps. One that was too fast is run again.
  private func interrupt(_ signal: Int32, after steps: Int) throws -> Executable.Result {
    while true {
      let running = try start()
      let path = folder("run/metrics.jsonl").path
      while running.process.isRunning, ((try? MetricsFile.read(path)) ?? []).count < steps { usleep(1000) }
      kill(running.process.processIdentifier, signal)
      let result = try running.wait()
      if result.status != 0 { return result }
      try FileManager.default.removeItem(at: folder("run"))
    }
  }

  /// What each step of a run computed, by name, without what depends on the machine's speed.
  private func metrics(_ run: String) throws -> [[String: MetricsValue]] {
    try MetricsFile.read("\(run)/metrics.jsonl").map { line in
      line.values.filter { $0.key != "tokens_per_second" && $0.key != "peak_bytes" }
        .merging(["step": .integer(line.step)]) { first, _ in first }
    }
  }

  private func expectResultOfTheUninterruptedRun() throws {
    let mine = folder("run").path
    #expect(try metrics(mine) == metrics(workspace("run")))
    #expect(try metrics(mine).map { $0["step"] } == (1...60).map { .integer($0) })
    for file in ["model.safetensors", "optimizer.safetensors", "training.json"] {
      let path = "checkpoints/step-00000060/\(file)"
      #expect(try Data(contentsOf: folder("run/\(path)")) == Data(contentsOf: URL(filePath: workspace("run/\(path)"))))
    }
  }

  @Test func everyCommandSaysWhatItMade() throws {
    #expect(workspace.outputs[0] == "tokenizer/tokenizer.json: 320 tokens\nstatus 0")
    #expect(workspace.outputs[1].hasPrefix("tokens (written): "))
    #expect(workspace.outputs[1].hasSuffix(" bytes\nstatus 0"))
    #expect(workspace.outputs[2] == "status 0")
    let again = try Executable.run(
      "data", "prepare", "--tokenizer", "tokenizer", "--output", "tokens", "--validation-fraction", "0.2", "text.txt",
      in: workspace.url)
    #expect(again.output.hasPrefix("tokens (up to date): "))
  }

  @Test func encodeAndDecodeAreInverse() throws {
    let text = "And God said,\tlet there be “light” – 光"
    let ids = try Executable.run("tokenizer", "encode", "--tokenizer", workspace("tokenizer"), text)
    #expect(ids.status == 0)
    let back = try Executable.run(
      "tokenizer", "decode", "--tokenizer", workspace("tokenizer/tokenizer.json"), input: ids.output)
    #expect(back.output == text + "\n")
  }

  @Test func aKilledRunGoesOnAsIfNothingHadHappened() throws {
    #expect(try interrupt(SIGKILL, after: 5).status == -SIGKILL)
    // A second time, on the way from the checkpoint.
    let again = try Executable.start("train", "--resume", "--output", "run", in: folder.url)
    let path = folder("run/metrics.jsonl").path
    while again.process.isRunning, ((try? MetricsFile.read(path)) ?? []).count < 20 { usleep(1000) }
    kill(again.process.processIdentifier, SIGKILL)
    _ = try again.wait()
    let result = try resume()
    #expect(result.status == 0)
    try expectResultOfTheUninterruptedRun()
  }

  @Test(arguments: [SIGINT, SIGTERM]) func aPoliteSignalSavesAndLeaves(_ signal: Int32) throws {
    let result = try interrupt(signal, after: 4)
    #expect(result.status == 130)
    #expect(result.output == "stopped; continue with: wideband train --resume --output run\n")
    #expect(result.errors.contains("\nstopping after this step; once more to leave now\n"))
    let steps = try metrics(folder("run").path).count
    #expect(steps < 60)
    #expect(folder.exists("run/checkpoints/step-000000\(steps < 10 ? "0" : "")\(steps)/model.safetensors"))
    #expect(try resume().status == 0)
    try expectResultOfTheUninterruptedRun()
  }

  @Test func evaluateMeasuresWhatTrainingMeasured() throws {
    let result = try Executable.run(
      "evaluate", "--model", workspace.model, "--data", workspace("tokens"), "--length", "32", "--tokens", "256",
      "--json")
    #expect(result.status == 0)
    let evaluation = try JSONDecoder().decode(Evaluation.self, from: Data(result.output.utf8))
    let last = try #require(try metrics(workspace("run")).last)
    #expect(try abs(evaluation.nextTokenLoss - #require(last["validation/next_token"]?.number)) < 1e-6)
    #expect(try abs(evaluation.bitsPerByte - #require(last["validation/bits_per_byte"]?.number)) < 1e-6)
    #expect(evaluation.tokenCount == 256)
    let text = try Executable.run(
      "evaluate", "--model", workspace.model, "--data", workspace("tokens"), "--length", "32")
    #expect(text.output.hasPrefix("next-token loss  "))
    #expect(text.output.contains("\nbits per byte    "))
  }

  @Test func generateWritesTheSameWithAndWithoutTheCache() throws {
    let result = try Executable.run(
      "generate", "--model", workspace.model, "--prompt", "And God", "--max-tokens", "12", "--seed", "3")
    #expect(result.status == 0)
    #expect(result.errors.contains("12 new tokens"))
    let slow = try Executable.run(
      "generate", "--model", workspace.model, "--max-tokens", "12", "--seed", "3", "--no-cache", input: "And God\n")
    #expect(slow.output == result.output)
  }

  @Test func infoShowsAModelAndARecipe() throws {
    let model = try Executable.run("info", workspace.model)
    #expect(model.status == 0)
    #expect(model.output.contains("virtual width  r = 2: 4 slots of 8 channels, 32 in all"))
    let recipe = try Executable.run("info", workspace("recipe.yaml"), "--set", "model.virtual_width.slots=8")
    #expect(recipe.output.contains("virtual width  r = 4: 8 slots of 8 channels, 64 in all"))
  }

  @Test func reportWritesAPage() throws {
    let run = workspace("run")
    let result = try Executable.run(
      "report", "a=\(run)", "b=\(run)", "--output", "page.html", "--tokens", "4", in: folder.url)
    #expect(result.status == 0)
    #expect(result.output.contains("\na writes: And God said"))
    #expect(result.output.hasSuffix("curves: page.html\n"))
    let page = try folder.read("page.html")
    #expect(page.hasPrefix("<!DOCTYPE html>\n"))
    #expect(page.hasSuffix("</html>\n"))
    #expect(page.contains("<svg"))
    expectError(
      try Executable.run("report", "a=nowhere", "--output", "page.html", in: folder.url),
      "\(folder("nowhere/metrics.jsonl").path): there are no metrics")
    expectError(try Executable.run("report", run, "--output", "x"), "'\(run)': expected name=folder")
  }

  @Test(
    "measured numbers may be of any size, and none is a text that steers the terminal",
    arguments: [
      #"{"step":1,"train/next_token":-1.7e308}"#, #"{"step":1,"train/next_token":1e999}"#,
      #"{"step":1,"train/next_token":5.0,"peak_bytes":1e30}"#,
      #"{"step":1,"train/next_token":5.0,"tokens_per_second":"inf","validation/bits_per_byte":"nan"}"#,
      #"{"step":1,"validation/bits_per_byte":1e300,"peak_bytes":-1e300,"tokens_per_second":-1e300}"#,
    ])
  func report_extremes(line: String) throws {
    try FileManager.default.createDirectory(at: folder("run"), withIntermediateDirectories: false)
    try FileManager.default.createSymbolicLink(
      at: folder("run/best"), withDestinationURL: URL(filePath: workspace.model))
    try folder.write("run/metrics.jsonl", "\(line)\n{\"step\":2,\"train/next_token\":1.7e308}\n")
    let result = try Executable.run(
      "report", "a\u{1B}c=run", "--output", "page.html", "--tokens", "40", "--prompt", "\u{1B}[31m", in: folder.url)
    #expect(result.status == 0, "\(result.errors)")
    #expect(!result.output.contains("\u{1B}") && result.output.contains("\na\\u{1b}c writes: \\u{1b}[31m"))
    #expect(try folder.read("page.html").hasSuffix("</html>\n"))
  }

  @Test func aDataFolderMayHaveAnyName() throws {
    let name = "it's \"data\": #1 \\n"
    try FileManager.default.copyItem(atPath: workspace("tokens"), toPath: folder(name).path)
    let result = try Executable.run(
      "train", "--recipe", workspace("recipe.yaml"), "--data", name, "--output", "run", "--set", "training.steps=4",
      in: folder.url)
    #expect(result.status == 0, "\(result.errors)")
    #expect(try resume().status == 0)
  }
}
