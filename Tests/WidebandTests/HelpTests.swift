import Testing

struct HelpTests {
  @Test(arguments: [
    "", "tokenizer", "tokenizer train", "tokenizer encode", "tokenizer decode", "data", "data prepare", "train",
    "evaluate", "generate", "info", "verify", "report", "bench",
    "bench step", "bench connections", "bench decode", "init", "convert", "quantize", "chat", "serve", "launch", "plan",
    "study", "widen",
  ])
  func everyHelpShowsAnExample(_ command: String) throws {
    let result = try Executable.run(command.split(separator: " ").map(String.init) + ["--help"])
    #expect(result.status == 0)
    #expect(result.errors == "")
    let parts = result.output.components(separatedBy: "EXAMPLE")
    #expect(parts.count == 2)
    #expect(parts.last?.contains("  wideband \(command)") == true)
    #expect(result.output.contains("USAGE: wideband"))
  }

  @Test func usageError_exitsWith64() throws {
    expectError(try Executable.run("trane"), "Unexpected argument 'trane'", status: 64)
    expectError(try Executable.run("train", "--output"), "Missing value for '--output <folder>'", status: 64)
    expectError(
      try Executable.run("train", "--output", "x"),
      "--recipe is missing; --resume continues a run without one", status: 64)
    expectError(
      try Executable.run("train", "--resume", "--output", "x", "--set", "a=b"),
      "--resume continues the recipe in the run folder: expected no --recipe, --data, --from or --set", status: 64)
    expectError(
      try Executable.run("train", "--recipe", "r", "--output", "x", "--threads", "0"),
      "--threads is 0: expected 1 to 1024", status: 64)
    expectError(
      try Executable.run("evaluate", "--model", "m", "--data", "d", "--length", "1"),
      "--length is 1: expected from 2 to 1073741824", status: 64)
    expectError(
      try Executable.run("generate", "--model", "m", "--prompt", "a", "--prompt-file", "b"),
      "--prompt and --prompt-file are both given: expected one of them", status: 64)
  }
}
