import Foundation

/// The seeds: tokenizers, prepared data, finished runs and model folders of the current version, created by the command
/// that is built next to this program.
struct Workspace: Sendable {
  let folder: URL

  /// The files below a folder of the workspace, by their names within it.
  func files(_ name: String, except left: [String] = []) throws -> Files {
    let root = folder.appending(path: name).resolvingSymlinksInPath()
    var files: Files = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
      let file = root.appending(path: path)
      let isFile = (try? file.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile ?? false
      guard isFile, !left.contains(file.lastPathComponent), !path.hasPrefix(".") else { continue }
      files[path] = Array(try Data(contentsOf: file))
    }
    return files
  }

  /// Creates the workspace in a folder by running the command.
  static func make(in folder: URL) throws -> Workspace {
    let workspace = Workspace(folder: folder)
    func write(_ name: String, _ text: String) throws {
      try Data(text.utf8).write(to: folder.appending(path: name))
    }
    let text = try String(contentsOf: Fixtures.folder.appending(path: "golden/genesis.txt"), encoding: .utf8)
    try write("text.txt", text)
    try write("chat.jsonl", chat)
    try write(
      "wide.yaml",
      recipe + "  virtual_width: {fraction_rate: 2, slots: 4, embedding: wide, connections: dynamic}\n"
        + "  ngram_memory: {orders: [2], rows: 1009}\n")
    try write("plain.yaml", recipe)
    for arguments in commands {
      let process = Process()
      process.executableURL = Command.executable
      process.arguments = arguments
      process.currentDirectoryURL = folder
      process.standardOutput = FileHandle.nullDevice
      let errors = Pipe()
      process.standardError = errors
      try process.run()
      let message = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      guard process.terminationStatus == 0 else {
        throw FuzzError("wideband \(arguments.joined(separator: " ")): status \(process.terminationStatus): \(message)")
      }
    }
    return workspace
  }

  private static let commands = [
    ["tokenizer", "train", "--size", "320", "--output", "tokenizer", "text.txt"],
    ["tokenizer", "train", "--chat", "--size", "320", "--output", "chat-tokenizer", "chat.jsonl"],
    [
      "data", "prepare", "--tokenizer", "tokenizer", "--output", "tokens", "--validation-fraction", "0.2", "text.txt",
    ],
    [
      "data", "prepare", "--tokenizer", "chat-tokenizer", "--output", "chat", "--validation-fraction", "0.3",
      "chat.jsonl",
    ],
    ["train", "--recipe", "wide.yaml", "--data", "tokens", "--output", "wide"],
    ["train", "--recipe", "plain.yaml", "--data", "tokens", "--output", "plain"],
    [
      "train", "--recipe", "plain.yaml", "--data", "tokens", "--output", "adapters", "--from", "plain/best", "--set",
      "model=null", "--set", "lora={rank: 2, alpha: 4, targets: [attention]}",
    ],
    ["quantize", "--model", "plain/best", "--output", "quantized", "--scheme", "int4"],
    ["convert", "wide/best", "shards", "--shard-size", "10KB"],
  ]

  private static let chat = (0..<40).map { index in
    """
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is \(index)?"}, \
    {"role": "assistant", "reasoning_content": "It is a number.", "content": "Number \(index)."}]}

    """
  }.joined()

  private static let recipe = """
    training: {steps: 2, sequence_length: 32, tokens_per_step: 64, rows_per_batch: 2, seed: 1}
    initial_values: {embedding: 1, linear: 0.5, reduce: random, expand: identity_and_random}
    optimizer:
      learning_rate: 5.0e-3
      connection_rate: {read: 0.1, write: 0.1, carry: 0.1}
      beta1: 0.9
      beta2: 0.95
      epsilon: 1.0e-8
      weight_decay: 0.1
      clip: 1
    schedule: {kind: cosine, warmup_steps: 1, floor: 0.1, decay_fraction: 0.2}
    validation: {interval: 1, tokens: 256}
    checkpoint: {interval: 1, keep: 2}
    sample: {interval: 0, prompt: And God said, tokens: 20}
    model:
      hidden_size: 16
      num_hidden_layers: 2
      num_attention_heads: 2
      num_key_value_heads: 1
      head_dim: 8
      intermediate_size: 24
      max_position_embeddings: 64

    """
}

/// The inputs of the repository's own tests.
enum Fixtures {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")
}

/// The command that is fuzzed.
enum Command {
  /// `wideband`, built next to this program.
  static let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    .appending(path: "wideband")
}

/// An error of the setup.
struct FuzzError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
