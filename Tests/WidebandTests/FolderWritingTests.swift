import Checkpoint
import Foundation
import Testing

/// What `init`, `convert` and `quantize` leave where they may not write, or are ended on the way.
struct FolderWritingTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.write(
      "small.json",
      """
      {"model_type": "qwen3", "vocab_size": 3005, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
       "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 12, "tie_word_embeddings": true,
       "eos_token_id": [3002, 3000]}
      """)
  }

  private func start(_ name: String, _ arguments: String...) throws -> Executable.Result {
    try Executable.run(["init", "--config", "small.json", "--output", name] + arguments, in: folder.url)
  }

  @Test("nothing in a folder is lost, whichever way a command is told to write there")
  func output_isNeverReplaced() throws {
    #expect(try start("model").status == 0)
    for name in ["optimizer.safetensors", "training.json", "notes.md"] { try folder.write("model/\(name)", "mine") }
    try FileManager.default.createSymbolicLink(at: folder("link"), withDestinationURL: folder("model"))
    func content() throws -> [String: Data] {
      var files: [String: Data] = [:]
      for name in try FileManager.default.contentsOfDirectory(atPath: folder("model").path) {
        files[name] = try Data(contentsOf: folder("model/\(name)"))
      }
      return files
    }
    let before = try content()
    for output in ["model", "./model/", "model/../model", "link", folder("model").path] {
      for arguments in [
        ["convert", "model", output, "--dtype", "float32"], ["init", "--config", "small.json", "--output", output],
        ["quantize", "--model", "model", "--output", output, "--scheme", "int8"],
      ] {
        let result = try Executable.run(arguments, in: folder.url)
        #expect(result.status == 1)
        #expect(
          result.errors.hasSuffix(": exists already and is not empty: expected the name of a new folder\n"),
          "\(result.errors)")
      }
    }
    #expect(try content() == before)
    #expect(try Executable.run("convert", "model", "model/inside", in: folder.url).status == 0)
    for (name, data) in before { #expect(try Data(contentsOf: folder("model/\(name)")) == data) }
  }

  @Test("what a killed command left is removed by the next one")
  func leftovers_areSwept() throws {
    let config = try folder.read("small.json").replacing("\"hidden_size\": 8", with: "\"hidden_size\": 2048")
    try folder.write("large.json", config)
    let running = try Executable.start(
      ["init", "--config", "large.json", "--output", "large", "--shard-size", "1MB"], in: folder.url)
    func leftovers() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path).filter { $0.hasPrefix(".wideband-") }
    }
    while running.process.isRunning, try leftovers().isEmpty { usleep(1000) }
    kill(running.process.processIdentifier, SIGKILL)
    #expect(try running.wait().status == -SIGKILL)
    #expect(try leftovers().count == 1 && !folder.exists("large"))
    #expect(try start("model").status == 0)
    #expect(try leftovers().isEmpty)
  }

  @Test("Ctrl-C ends writing at once, with no half folder under the name, and the next time all is there")
  func convert_interrupted() throws {
    let config = try folder.read("small.json").replacing("\"hidden_size\": 8", with: "\"hidden_size\": 2048")
    try folder.write("large.json", config)
    #expect(try Executable.run("init", "--config", "large.json", "--output", "large", in: folder.url).status == 0)
    let convert = ["convert", "large", "out", "--dtype", "float32", "--shard-size", "1MB"]
    let running = try Executable.start(convert, in: folder.url)
    func leftovers() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path).count { $0.hasPrefix(".wideband-") }
    }
    while running.process.isRunning, try leftovers() == 0 { usleep(1000) }
    kill(running.process.processIdentifier, SIGINT)
    let result = try running.wait()
    #expect(result.status == -SIGINT && result.output == "" && result.errors == "")
    #expect(!folder.exists("out"))
    #expect(try Executable.run(convert, in: folder.url).status == 0)
    #expect(try leftovers() == 0)
    #expect(try ModelFolder(folder("out")).readTensors().count == ModelFolder(folder("large")).readTensors().count)
  }

  @Test("a full disk leaves nothing of a folder, and room again makes it")
  func fullDisk_leavesNothing() throws {
    #expect(try start("model", "--dtype", "float32").status == 0)
    let commands = [
      ["convert", "model", "out"], ["quantize", "--model", "model", "--output", "out", "--scheme", "int8"],
      ["init", "--config", "small.json", "--output", "out"],
    ]
    let before = try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted()
    for command in commands {
      let line = "trap '' XFSZ; ulimit -f 4; exec $w"
      let result = try Executable.run(shell: line, command, in: folder.url)
      let sentence = result.errors.split(separator: "\n").last ?? ""
      #expect(result.status == 1, "\(command)")
      #expect(sentence.hasPrefix("Error: \(folder("out/model.safetensors").path): cannot write "), "\(sentence)")
      #expect(sentence.hasSuffix(" bytes: File too large"), "\(sentence)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == before)
    }
    #expect(try Executable.run(commands[0], in: folder.url).status == 0)
    try folder.write("file", "mine")
    for command in commands {
      let result = try Executable.run(command.map { $0 == "out" ? "file/out" : $0 }, in: folder.url)
      expectError(
        result, "\(folder("file/out").path): cannot create a temporary folder beside it: Not a directory")
    }
    #expect(try folder.read("file") == "mine")
  }
}
