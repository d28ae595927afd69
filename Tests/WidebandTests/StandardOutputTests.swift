import Foundation
import TestSupport
import Testing

/// A standard output that is full, closed or a broken pipe.
final class StandardOutputTests: WorkspaceTests {
  /// Commands that write to standard output.
  private static let commands: [[String]] = [
    ["--help"], ["generate", "--help"], ["help", "train"], ["--generate-completion-script", "bash"],
    ["tokenizer", "train", "--size", "260", "--output", "OUT", "IN/text.txt"],
    ["tokenizer", "encode", "--tokenizer", "IN/tokenizer", "And"],
    ["tokenizer", "decode", "--tokenizer", "IN/tokenizer", "1", "2"],
    ["data", "prepare", "--tokenizer", "IN/tokenizer", "--output", "OUT", "IN/text.txt"],
    ["evaluate", "--model", "MODEL", "--data", "IN/tokens", "--length", "32", "--tokens", "64"],
    ["evaluate", "--model", "MODEL", "--data", "IN/tokens", "--length", "32", "--tokens", "64", "--json"],
    ["generate", "--model", "MODEL", "--prompt", "And", "--max-tokens", "2", "--seed", "1"],
    ["generate", "--model", "MODEL", "--batch", "IN/prompts.jsonl", "--max-tokens", "2", "--seed", "1"],
    ["bench", "step", "--config", "MODEL/config.json", "--batch", "1", "--length", "8", "--steps", "1"],
    ["bench", "connections", "--hidden-size", "16", "--tokens", "8", "--widths", "2:3"], ["info", "--machine"],
    ["info", "MODEL"], ["verify", "FIXTURES/models/plain"], ["convert", "MODEL", "OUT"],
    ["quantize", "--model", "MODEL", "--output", "OUT", "--scheme", "int8"],
    ["init", "--config", "MODEL/config.json", "--output", "OUT"],
    ["report", "a=IN/run", "--output", "OUT", "--tokens", "2"],
  ]

  private func arguments(_ words: [String]) throws -> [String] {
    try folder.write("prompts.jsonl", text: "{\"text\": \"And\"}\n")
    let names = [
      ("IN/prompts.jsonl", folder("prompts.jsonl")), ("IN/", workspace.url.path + "/"),
      ("MODEL", workspace.model), ("OUT", folder("out")), ("FIXTURES", Fixtures.folder.path),
    ]
    return words.map { word in names.reduce(word) { $0.replacingOccurrences(of: $1.0, with: $1.1) } }
  }

  #if os(Linux)
    @Test("a full standard output is an error of one sentence", arguments: commands)
    func fullOutput_isReported(words: [String]) throws {
      let result = try Executable.run(shell: "exec $w > /dev/full", arguments(words))
      expectError(result, "standard output: cannot be written: No space left on device")
    }
  #endif

  @Test("a closed standard output is an error of one sentence", arguments: commands)
  func closedOutput_isReported(words: [String]) throws {
    let result = try Executable.run(shell: "exec $w >&-", arguments(words))
    expectError(result, "standard output: cannot be written: it is closed")
  }

  @Test("a broken pipe ends the command by SIGPIPE without a message")
  func abandonedOutput_endsQuietly() throws {
    let result = try Executable.run(shell: "{ sleep 1; $w; echo $? >&2; } | true", ["--help"])
    #expect(result.errors == "\(128 + SIGPIPE)\n")
  }

  @Test("a run with closed descriptors 0 to 2 gives the same result")
  func closedDescriptors_leaveTheRunIntact() throws {
    for (index, closed) in ["0<&- 1>&- 2>&-", "1>&- 2>&-", "0<&- 2>&-", "2>&-"].enumerated() {
      let run = "run\(index)"
      let trained = try Executable.run(
        shell: "exec $w \(closed)",
        [
          "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", run, "--set",
          "training.steps=4", "--set", "checkpoint.interval=2",
        ], in: folder.url)
      #expect(trained.status == 0)
      let metrics = try folder.read("\(run)/metrics.jsonl").split(separator: "\n")
      #expect(metrics.count == 4 && metrics.allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
      #expect(try folder.read("\(run)/log.txt").split(separator: "\n").allSatisfy { $0.hasPrefix("20") })
      try folder.run("train", "--resume", "--output", run).succeeding()
    }
  }

  @Test("a closed standard error does not end a run")
  func abandonedConsole_doesNotEndTheRun() throws {
    let result = try Executable.run(
      shell: "{ sleep 1; $w 2>&1 >/dev/null; echo $? > status; } | true",
      [
        "train", "--recipe", workspace("recipe.yaml"), "--data", workspace("tokens"), "--output", "run", "--set",
        "training.steps=4",
      ], in: folder.url)
    #expect(result.status == 0)
    #expect(try folder.read("status") == "0\n")
  }
}
