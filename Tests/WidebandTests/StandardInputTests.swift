import Foundation
import TestSupport
import Testing

/// Standard input and prompt files that cannot be read.
final class StandardInputTests: WorkspaceTests {
  private var readers: [[String]] {
    [
      ["tokenizer", "encode", "--tokenizer", workspace("tokenizer")],
      ["tokenizer", "decode", "--tokenizer", workspace("tokenizer")],
      ["generate", "--model", workspace.model, "--max-tokens", "2"],
    ]
  }

  private func generate(_ shell: String, promptFile: String) throws -> Executable.Result {
    try Executable.run(
      shell: shell,
      [
        "generate", "--model", workspace.model, "--max-tokens", "2", "--temperature", "0", "--prompt-file", promptFile,
      ], in: folder.url)
  }

  @Test("a closed standard input is named")
  func closedInput_isReported() throws {
    for reader in readers {
      expectError(
        try Executable.run(shell: "exec $w <&-", reader), "standard input: cannot be read: it is closed")
    }
  }

  @Test("a folder as standard input is named")
  func folderAsInput_isReported() throws {
    for reader in readers {
      expectError(try Executable.run(shell: "exec $w < /", reader), "standard input: is a folder: expected text")
    }
  }

  @Test("an endless standard input is refused")
  func endlessInput_isReported() throws {
    for reader in readers {
      expectError(
        try Executable.run(shell: "exec $w < /dev/zero", reader),
        "standard input: has more than 268435456 bytes: expected at most as many")
    }
  }

  @Test("a prompt is read from a pipe, as of <(command)")
  func promptFile_mayBeAPipe() throws {
    let expected = try Executable.run(
      "generate", "--model", workspace.model, "--max-tokens", "2", "--temperature", "0", "--prompt", "And God")
    let slow = try generate("{ sleep 1; printf 'And '; sleep 1; echo God; } | $w", promptFile: "/dev/stdin")
    #expect(slow.output == expected.output && slow.status == 0)
    let named = try generate("mkfifo pipe; { sleep 1; echo And God > pipe; } & exec $w", promptFile: "pipe")
    #expect(named.output == expected.output && named.status == 0)
  }

  @Test("a prompt file that cannot be read is named")
  func promptFile_withoutText_isReported() throws {
    expectError(
      try generate("mkfifo alone; exec $w", promptFile: "alone"),
      "alone: is a FIFO that nothing writes into: expected text")
    expectError(try generate("exec $w", promptFile: "/"), "/: is a folder: expected text")
    expectError(
      try generate("exec $w", promptFile: "none"), "none: cannot be read: No such file or directory")
    expectError(
      try generate("exec $w", promptFile: "/dev/zero"),
      "/dev/zero: has more than 268435456 bytes: expected at most as many")
    try folder.write("latin.txt", [0x49, 0xE9])
    expectError(try generate("exec $w", promptFile: "latin.txt"), "latin.txt: the prompt is not UTF-8")
  }
}
