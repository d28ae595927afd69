import Foundation
import TestSupport
import Testing

/// `chat`, and training on conversations.
struct ChatTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.initializeChatModel(contextLength: 4096)
  }

  private let arguments = ["chat", "--model", "model", "--temperature", "0", "--max-tokens", "6"]

  @Test func chat_conversation() throws {
    let result = try folder.run(
      arguments + ["--no-thinking", "--system", "Be kind."],
      input: "Hello\nAnd more\n/reset\n\nHello\n/what\n/exit\nnever asked\n")
    #expect(result.status == 0)
    #expect(result.errors == "/what: expected /reset, /exit or a question\n")
    let once = try folder.run(arguments + ["--no-thinking", "--system", "Be kind."], input: "Hello\n")
    #expect(once.status == 0)
    #expect(!once.output.isEmpty)
    #expect(result.output.hasPrefix(once.output))
    #expect(result.output.hasSuffix(once.output))
    #expect(result.output.count > 2 * once.output.count)
  }

  @Test func chat_directDecoding() throws {
    let result = try folder.run(arguments + ["--cycle", "2", "--decoding-layers", "1"], input: "Hello\nAnd more\n")
    #expect(result.status == 0, "\(result.errors)")
    #expect(!result.output.isEmpty)
    expectError(
      try folder.run(arguments + ["--cycle", "2"]),
      "model/config.json has no direct_decoding: expected --decoding-layers with --cycle")
  }

  @Test func chat_longQuestion_continues() throws {
    let long = String(repeating: "long ", count: 5000)
    let result = try folder.run(arguments, input: "\(long)\nHello\n")
    #expect(result.status == 0)
    #expect(
      result.errors.hasSuffix("expected at most 4095, as the model's context holds 4096 (max_position_embeddings)\n"))
    #expect(!result.output.isEmpty)
  }

  @Test func chat_interrupt_endsAnswer() throws {
    let running = try Executable.start(
      "chat", "--model", "model", "--temperature", "0", "--max-tokens", "4000", input: "Hello\n/exit\n", in: folder.url)
    while running.process.isRunning, running.outputSize == 0 { usleep(1000) }
    kill(running.process.processIdentifier, SIGINT)
    let result = try running.wait()
    #expect(result.status == 0)
    #expect(result.errors == "stopped\n")
  }

  @Test func conversations_trainAndChat() throws {
    let lines = (0..<40).map { index in
      #"{"messages": [{"role": "user", "content": "Say \#(index)"}, {"role": "assistant", "content": "It is \#(index)."}]}"#
    }
    try folder.write("chat.jsonl", text: lines.joined(separator: "\n"))
    let prepared = try folder.run(
      "data", "prepare", "--tokenizer", "model", "--output", "data", "--validation-fraction", "0.2", "chat.jsonl")
    #expect(prepared.status == 0, "\(prepared.errors)")
    let recipe = try Data(contentsOf: Fixtures.url("golden/plain.yaml"))
    try folder.write("recipe.yaml", recipe)
    let trained = try folder.run(
      "train", "--recipe", "recipe.yaml", "--data", "data", "--output", "run", "--set", "training.steps=6", "--set",
      "training.sequence_length=64", "--set", "training.tokens_per_step=128", "--set", "training.rows_per_batch=2")
    #expect(trained.status == 0, "\(trained.errors)")
    try folder.run("evaluate", "--model", "run/best", "--data", "data", "--length", "64").succeeding()
    try folder.run("chat", "--model", "run/best", "--max-tokens", "4", "--seed", "1", input: "Say 3\n").succeeding()
  }

  /// A tokenizer that is trained on conversations.
  @Test func tokenizer_forConversations() throws {
    try folder.write("text.txt", text: "Say it. It is said.")
    try folder.write(
      "chat.jsonl", text: #"{"messages": [{"role": "user", "content": "Say"}, {"role": "assistant", "content": "It"}]}"#
    )
    func prepare() throws -> Executable.Result {
      try folder.run("data", "prepare", "--tokenizer", "own", "--output", "data", "chat.jsonl")
    }
    #expect(try folder.run("tokenizer", "train", "--size", "262", "--output", "own", "text.txt").status == 0)
    expectError(
      try prepare(), "chat.jsonl: holds conversations, but the tokenizer has no \"<|im_end|>\" to end an answer with")
    #expect(
      try Executable.run(
        "tokenizer", "train", "--chat", "--size", "262", "--output", "own", "chat.jsonl", in: folder.url
      ).output == "own/tokenizer.json: 262 tokens\n")
    #expect(try prepare().output.contains("data (written): "))
  }

  @Test func conversations_invalid() throws {
    try folder.write("tool.jsonl", text: #"{"messages": [{"role": "function", "content": "x"}]}"#)
    expectError(
      try folder.run("tokenizer", "train", "--output", "own", "tool.jsonl"),
      "tool.jsonl: line 1: messages[0].role is 'function': expected 'system', 'user', 'assistant' or 'tool'")
    expectError(
      try folder.run("data", "prepare", "--tokenizer", "model", "--output", "data", "tool.jsonl"),
      "tool.jsonl: line 1: messages[0].role is 'function': expected 'system', 'user', 'assistant' or 'tool'")
    expectError(
      try folder.run("chat", "--model", "model", "--max-tokens", "0"),
      "--max-tokens is 0: expected from 1 to 1073741824", status: 64)
  }
}
