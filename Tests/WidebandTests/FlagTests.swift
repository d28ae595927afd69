import Foundation
import TestSupport
import Testing

/// Values of flags at and beyond their bounds.
struct FlagTests {
  private let workspace: Workspace

  init() throws { workspace = try .shared() }

  @Test(
    "a value out of range is named with its flag and the range, before files are opened",
    arguments: [
      ("evaluate --model x --data y --length=\(Int.min)", "--length is \(Int.min): expected from 2 to 1073741824"),
      ("evaluate --model x --data y --rows=\(Int.max)", "--rows is \(Int.max): expected from 1 to 1048576"),
      ("evaluate --model x --data y --tokens=\(Int.min)", "--tokens is \(Int.min): expected from 1 to 1099511627776"),
      ("generate --model x --max-tokens \(Int.max)", "--max-tokens is \(Int.max): expected from 1 to 1073741824"),
      ("generate --model x --cycle 0", "--cycle is 0: expected from 1 to 1024"),
      ("chat --model x --cycle \(Int.max)", "--cycle is \(Int.max): expected from 1 to 1024"),
      ("generate --model x --top-k -2", "--top-k is -2: expected at least 1, or 0 or -1 to keep all tokens"),
      ("generate --model x --top-p 1.5", "--top-p is 1.5: expected from 0 to 1"),
      ("generate --model x --min-p nan", "--min-p is nan: expected from 0 to 1"),
      (
        "generate --model x --repetition-penalty 1e-308",
        "--repetition-penalty is 1e-308: expected from 0.001 to 1000"
      ),
      ("chat --model x --temperature -1", "--temperature is -1.0: expected a finite number of at least 0"),
      ("report a=x --output y --tokens \(Int.max)", "--tokens is \(Int.max): expected from 1 to 1073741824"),
      ("report a=x --output y --tokens=\(Int.min)", "--tokens is \(Int.min): expected from 1 to 1073741824"),
      ("bench decode --config x --tokens=\(Int.min)", "--tokens is \(Int.min): expected from 1 to 1073741824"),
      ("bench step --config x --batch \(Int.max)", "--batch is \(Int.max): expected from 1 to 1048576"),
      (
        "bench step --config x --batch 1048576 --length 1048576",
        "--batch is 1048576 and --length is 1048576: expected at most 16777216 tokens together"
      ),
      ("bench step --config x --steps \(Int.max)", "--steps is \(Int.max): expected from 1 to 1000000"),
      ("bench decode --config x --runs \(Int.max)", "--runs is \(Int.max): expected from 1 to 1000000"),
      ("bench decode --config x --prompt \(Int.max)", "--prompt is \(Int.max): expected from 1 to 1073741824"),
      ("train --recipe x --output y --dashboard 70000", "--dashboard is 70000: expected from 0 to 65535"),
      ("bench connections --hidden-size \(Int.max)", "--hidden-size is \(Int.max): expected from 1 to 1048576"),
    ])
  func number_outOfRange_isReported(line: String, sentence: String) throws {
    expectError(try Executable.run(line.split(separator: " ").map(String.init)), sentence, status: 64)
  }

  @Test("a report replaces only an earlier report, and run names are unique")
  func report_overAnotherFile() throws {
    let folder = try TemporaryFolder()
    let file = folder.url.appending(path: "metrics.jsonl")
    try Data("{}\n".utf8).write(to: file)
    expectError(
      try Executable.run(["report", "a=\(workspace("run"))", "--output", file.path]),
      "\(file.path): is no report: expected a new file, or an earlier report to replace")
    #expect(try Data(contentsOf: file) == Data("{}\n".utf8))
    expectError(
      try Executable.run(["report", "a=x", "a=y", "--output", file.path]),
      "two runs are called 'a': expected a name for each")
    expectError(try Executable.run(["report", "a=", "--output", file.path]), "'a=': expected name=folder")
    expectError(try Executable.run(["info", ""]), "'': there is no such file or folder")
    #expect(try Executable.run(["--version"]).status == 0)
  }

  @Test("disabled filters keep the distribution, filters at their bound select the most probable token")
  func filters_atTheirBounds() throws {
    func text(_ arguments: String...) throws -> String {
      let result = try Executable.run(
        ["generate", "--model", workspace.model, "--prompt", "And", "--max-tokens", "8", "--seed", "5"] + arguments)
      #expect(result.status == 0, "\(result.errors)")
      return result.output
    }
    let free = try text()
    #expect(try text("--top-k", "0") == free && text("--top-k", "-1") == free && text("--top-p", "1") == free)
    let greedy = try text("--temperature", "0")
    #expect(try text("--top-p", "0") == greedy && text("--min-p", "1") == greedy)
  }

  @Test("a bad generation_config.json is overridden by flags, and ignored without sampling")
  func generationDefaults_canBeOverridden() throws {
    let folder = try workspace.copyOfModel()
    try folder.write("generation_config.json", text: #"{"top_k": -7, "min_p": 3}"#)
    let file = folder("generation_config.json")
    let generate = ["generate", "--model", folder.path, "--prompt", "And", "--max-tokens", "2"]
    expectError(
      try Executable.run(generate), "\(file): top_k is -7: expected at least 1, or 0 or -1 to keep all tokens")
    expectError(try Executable.run(generate + ["--top-k", "0"]), "\(file): min_p is 3.0: expected from 0 to 1")
    #expect(try Executable.run(generate + ["--top-k", "0", "--min-p", "0"]).status == 0)
    let evaluated = try Executable.run(
      "evaluate", "--model", folder.path, "--data", workspace("tokens"), "--length", "32", "--tokens", "64")
    #expect(evaluated.status == 0, "\(evaluated.errors)")
  }
}
