import Foundation
import TestSupport
import Testing
import WidebandCheckpoint

/// `init`, `convert` and `quantize` with failures and interrupts of writing.
struct FolderWritingTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    try folder.writeSmallConfiguration()
  }

  @Test("a folder that is not empty is never replaced")
  func output_isNeverReplaced() throws {
    #expect(try folder.initializeModel("model").status == 0)
    for name in ["optimizer.safetensors", "training.json", "notes.md"] {
      try folder.write("model/\(name)", text: "mine")
    }
    try FileManager.default.createSymbolicLink(at: folder.url("link"), withDestinationURL: folder.url("model"))
    func content() throws -> [String: Data] {
      var files: [String: Data] = [:]
      for name in try FileManager.default.contentsOfDirectory(atPath: folder("model")) {
        files[name] = try Data(contentsOf: folder.url("model/\(name)"))
      }
      return files
    }
    let before = try content()
    for output in ["model", "./model/", "model/../model", "link", folder("model")] {
      for arguments in [
        ["convert", "model", output, "--dtype", "float32"], ["init", "--config", "small.json", "--output", output],
        ["quantize", "--model", "model", "--output", output, "--scheme", "int8"],
      ] {
        let result = try folder.run(arguments)
        #expect(result.status == 1)
        #expect(
          result.errors.hasSuffix(": exists already and is not empty: expected the name of a new folder\n"),
          "\(result.errors)")
      }
    }
    #expect(try content() == before)
    #expect(try folder.run("convert", "model", "model/inside").status == 0)
    for (name, data) in before { #expect(try Data(contentsOf: folder.url("model/\(name)")) == data) }
  }

  @Test("temporary folders of a killed command are removed by the next one")
  func leftovers_areSwept() throws {
    let config = try folder.read("small.json").replacing("\"hidden_size\": 8", with: "\"hidden_size\": 2048")
    try folder.write("large.json", text: config)
    let running = try Executable.start(
      ["init", "--config", "large.json", "--output", "large", "--shard-size", "1MB"], in: folder.url)
    func leftovers() throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix(".wideband-") }
    }
    while running.process.isRunning, try leftovers().isEmpty { usleep(1000) }
    kill(running.process.processIdentifier, SIGKILL)
    #expect(try running.wait().status == -SIGKILL)
    #expect(try leftovers().count == 1 && !folder.exists("large"))
    #expect(try folder.initializeModel("model").status == 0)
    #expect(try leftovers().isEmpty)
  }

  @Test("Ctrl-C ends writing at once without an incomplete folder, and the next attempt succeeds")
  func convert_interrupted() throws {
    let config = try folder.read("small.json").replacing("\"hidden_size\": 8", with: "\"hidden_size\": 2048")
    try folder.write("large.json", text: config)
    #expect(try folder.run("init", "--config", "large.json", "--output", "large").status == 0)
    let convert = ["convert", "large", "out", "--dtype", "float32", "--shard-size", "1MB"]
    let running = try Executable.start(convert, in: folder.url)
    func leftovers() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: folder.path).count { $0.hasPrefix(".wideband-") }
    }
    while running.process.isRunning, try leftovers() == 0 { usleep(1000) }
    kill(running.process.processIdentifier, SIGINT)
    let result = try running.wait()
    #expect(result.status == -SIGINT && result.output == "" && result.errors == "")
    #expect(!folder.exists("out"))
    #expect(try folder.run(convert).status == 0)
    #expect(try leftovers() == 0)
    #expect(
      try ModelFolder(folder.url("out")).readTensors().count == ModelFolder(folder.url("large")).readTensors().count)
  }

  @Test("a full disk leaves no incomplete folder, and with free space the command succeeds")
  func fullDisk_leavesNothing() throws {
    #expect(try folder.initializeModel("model", "--dtype", "float32").status == 0)
    let commands = [
      ["convert", "model", "out"], ["quantize", "--model", "model", "--output", "out", "--scheme", "int8"],
      ["init", "--config", "small.json", "--output", "out"],
    ]
    let before = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    for command in commands {
      let line = "trap '' XFSZ; ulimit -f 4; exec $w"
      let result = try Executable.run(shell: line, command, in: folder.url)
      let sentence = result.errors.split(separator: "\n").last ?? ""
      #expect(result.status == 1, "\(command)")
      #expect(sentence.hasPrefix("Error: \(folder("out/model.safetensors")): cannot write "), "\(sentence)")
      #expect(sentence.hasSuffix(" bytes: File too large"), "\(sentence)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == before)
    }
    #expect(try folder.run(commands[0]).status == 0)
    try folder.write("file", text: "mine")
    for command in commands {
      let result = try folder.run(command.map { $0 == "out" ? "file/out" : $0 })
      expectError(
        result, "\(folder("file/out")): cannot create a temporary folder next to it: Not a directory")
    }
    #expect(try folder.read("file") == "mine")
  }
}
