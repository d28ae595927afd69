import Testing

/// `info --machine`, and more threads than processors.
@Suite struct MachineTests {
  @Test("info --machine prints the capabilities") func info_machine() throws {
    let result = try Executable.run("info", "--machine")
    #expect(result.status == 0)
    #expect(result.errors == "")
    let names = result.output.split(separator: "\n").map { String($0.prefix(15)).split(separator: "  ").first ?? "" }
    #expect(names == ["processor", "vector code", "products", "threads", "memory", "devices"])
    #expect(result.output.contains("1: OMP_NUM_THREADS"))
    #expect(result.output.contains("cpu"))
  }

  @Test("info is for a path or for the machine") func info_arguments() throws {
    expectError(
      try Executable.run("info"), "expected a model folder, a config.json or a recipe, or --machine", status: 64)
    expectError(
      try Executable.run("info", "--machine", "x"), "--machine is for this machine: expected no path with it",
      status: 64)
  }

  @Test("far more threads than processors are reduced, with a note", .timeLimit(.minutes(1)))
  func generate_manyThreads() throws {
    let workspace = try Workspace.shared()
    func text(_ threads: String) throws -> Executable.Result {
      try Executable.run(
        "generate", "--model", workspace.model, "--prompt", "And", "--max-tokens", "4", "--temperature", "0",
        "--threads",
        threads)
    }
    let (one, many) = (try text("1"), try text("1024"))
    #expect(one.status == 0 && many.status == 0)
    #expect(one.output == many.output)
    #expect(many.errors.contains("instead of 1024: four for each processor are the most that are used"))
  }
}
