import Foundation
import TestSupport
import Testing
import WidebandTorch

/// `generate` with interrupts, broken models and long stop strings.
struct GenerateTests {
  private let workspace: Workspace

  init() throws { workspace = try .shared() }

  private func generate(_ arguments: String...) throws -> Executable.Result {
    try Executable.run(
      ["generate", "--model", workspace.model, "--prompt", "And God", "--max-tokens", "12", "--temperature", "0"]
        + arguments)
  }

  @Test("Ctrl-C ends the process at once")
  func interrupt_endsAtOnce() throws {
    let folder = try TemporaryFolder()
    try folder.initializeChatModel(contextLength: 100_000)
    let running = try Executable.start(
      "generate", "--model", "model", "--prompt", "And", "--temperature", "0", "--max-tokens", "90000", in: folder.url)
    while running.process.isRunning, running.outputSize == 0 { usleep(1000) }
    kill(running.process.processIdentifier, SIGINT)
    let result = try running.wait()
    #expect(result.status == -SIGINT)
    #expect(result.errors == "")
    #expect(!result.output.isEmpty)
  }

  @Test(
    "a model with weights that are not finite is an error",
    arguments: [
      [], ["--temperature", "0"], ["--no-cache"], ["--cycle", "2", "--decoding-layers", "1"],
      ["--cycle", "2", "--decoding-layers", "1", "--draft", "direct"],
    ])
  func weights_notFinite(arguments: [String]) throws {
    let folder = try workspace.copyOfModel()
    for value in [Float.nan, .infinity] {
      try folder.changeTensors { tensors in
        let norm = try #require(tensors["model.norm.weight"])
        tensors["model.norm.weight"] = Tensor([value] + [Float](repeating: 1, count: norm.count - 1))
      }
      let result = try Executable.run(
        ["generate", "--model", folder.path, "--prompt", "And God", "--max-tokens", "4"] + arguments)
      #expect(result.status == 1 && result.output == "")
      #expect(result.errors.hasPrefix("Error: the logits after "), "\(result.errors)")
      #expect(result.errors.hasSuffix(" tokens are not finite: the model's weights are broken\n"), "\(result.errors)")
    }
  }

  @Test("stop strings may be long and many")
  func stop_longAndMany() throws {
    let free = try generate()
    #expect(free.status == 0)
    let text = String(free.output.dropLast())
    // Text that begins like a stop string is delayed until the match fails.
    let long = text + String(repeating: "x", count: 100_000)
    let many = (0..<500).flatMap { ["--stop", "\(text)\($0)"] }
    #expect(try generate("--stop", long).output == free.output)
    #expect(
      try Executable.run(
        ["generate", "--model", workspace.model, "--prompt", "And God", "--max-tokens", "12", "--temperature", "0"]
          + many
      ).output == free.output)
    let stopped = try generate("--stop", long, "--stop", text)
    #expect(stopped.output == "\n" && stopped.errors.contains("ended by stop string"), "\(stopped.errors)")
  }
}
