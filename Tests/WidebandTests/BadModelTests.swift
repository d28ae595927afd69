import Foundation
import TestSupport
import Testing
import WidebandTorch

/// Model folders that are damaged or do not fit together.
struct BadModelTests {
  private let folder: TemporaryFolder
  private let data: String
  private var path: String { folder.path }

  init() throws {
    let workspace = try Workspace.shared()
    folder = try workspace.copyOfModel()
    data = workspace("tokens")
  }

  private func generate() throws -> Executable.Result {
    try Executable.run("generate", "--model", path, "--prompt", "And God")
  }

  @Test func copy_works() throws { #expect(try generate().status == 0) }

  @Test func folder_missing() throws {
    let nowhere = folder("nowhere")
    expectError(
      try Executable.run("generate", "--model", nowhere, "--prompt", "a"), "\(nowhere): there is no such model folder")
    expectError(
      try Executable.run("evaluate", "--model", nowhere, "--data", data), "\(nowhere): there is no such model folder")
    let file = folder("config.json")
    expectError(
      try Executable.run("generate", "--model", file, "--prompt", "a"), "\(file): is a file: expected a model folder")
    expectError(try Executable.run("info", nowhere), "\(nowhere): there is no such file or folder")
    let model = folder.path
    expectError(
      try Executable.run("info", model, "--set", "x=1"), "--set is 'x=1': expected none, as \(model) is not a recipe")
    expectError(
      try Executable.run("evaluate", "--model", path, "--data", nowhere),
      "\(nowhere): holds no prepared data: there is no data.json")
  }

  @Test func weights_truncated() throws {
    let file = folder.url("model.safetensors")
    let bytes = try Data(contentsOf: file)
    try bytes.dropLast(10).write(to: file)
    let result = try generate()
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("Error: \(file.path): tensor '"))
    #expect(result.errors.contains(" end past the file's "))
    #expect(result.errors.split(separator: "\n").count == 1)
    try bytes.prefix(4).write(to: file)
    expectError(
      try generate(), "\(file.path): 4 bytes are too few for a safetensors file: expected at least 8")
  }

  @Test func header_invalidLength() throws {
    let file = folder.url("model.safetensors")
    var bytes = try Data(contentsOf: file)
    bytes.replaceSubrange(0..<8, with: Data(repeating: 0x7F, count: 8))
    try bytes.write(to: file)
    expectError(
      try generate(), "\(file.path): header length 9187201950435737471 exceeds the file's \(bytes.count) bytes")
  }

  @Test func tensor_missing() throws {
    try folder.changeTensors { $0["lm_head.weight"] = nil }
    expectError(
      try generate(), "\(path): missing tensor 'lm_head.weight': the configuration expects it with shape [320, 16]")
  }

  @Test func tensor_superfluous() throws {
    try folder.changeTensors { $0["model.layers.7.mlp.up_proj.weight"] = .zeros([2]) }
    expectError(
      try generate(),
      "\(path): unexpected tensor 'model.layers.7.mlp.up_proj.weight': the configuration has no place for it")
  }

  @Test("a loss that is not finite is an error, in text and in JSON")
  func weightsThatAreNotFinite() throws {
    try folder.changeTensors { tensors in
      let norm = try #require(tensors["model.norm.weight"])
      tensors["model.norm.weight"] = Tensor([.nan] + [Float](repeating: 1, count: norm.count - 1))
    }
    for arguments in [[], ["--json"]] {
      expectError(
        try Executable.run(["evaluate", "--model", path, "--data", data, "--length", "32"] + arguments),
        "\(path): the weight model.norm.weight has elements that are not finite")
    }
  }

  @Test func tensor_otherShape() throws {
    try folder.changeTensors { $0["lm_head.weight"] = .zeros([320, 17]) }
    expectError(
      try generate(), "\(path): tensor 'lm_head.weight' has shape [320, 17]: the configuration expects [320, 16]")
  }

  @Test func shard_missing() throws {
    try FileManager.default.removeItem(at: folder.url("model.safetensors"))
    let index = try folder.write(
      "model.safetensors.index.json",
      text: "{\"weight_map\": {\"lm_head.weight\": \"model-00001-of-00002.safetensors\"}}")
    expectError(
      try generate(),
      "\(index): names the shard 'model-00001-of-00002.safetensors', which is missing from the folder")
  }

  @Test func configuration_malformed() throws {
    let file = try folder.write("config.json", text: "{\"hidden_size\": 16,")
    expectError(try generate(), "\(file): line 1, column 20: malformed JSON: expected a string")
    try folder.write("config.json", text: "{\"hidden_size\": \"wide\"}")
    expectError(try generate(), "\(file): hidden_size is 'wide': expected an integer")
    expectError(
      try Executable.run("info", file), "\(file): hidden_size is 'wide': expected an integer")
  }

  @Test func tokenizer_malformed() throws {
    let file = try folder.write("tokenizer.json", text: "[1, 2]")
    expectError(try generate(), "\(file): line 1, column 1: malformed JSON: expected '{'")
  }

  @Test func vocabulary_tooSmall() throws {
    let config = try folder.read("config.json")
    try folder.write("config.json", text: config.replacing("\"vocab_size\" : 320", with: "\"vocab_size\" : 100"))
    expectError(try generate(), "\(path): the tokenizer has 320 tokens, but vocab_size is 100")
  }

  @Test func data_otherTokenizer() throws {
    let result = try Executable.run(
      "tokenizer", "train", "--size", "300", "--output", path, Workspace.shared()("text.txt"))
    expectError(result, "\(path): holds a model, which has a tokenizer: expected another folder")
    let other = folder("other")
    let trained = try Executable.run(
      "tokenizer", "train", "--size", "300", "--output", other, Workspace.shared()("text.txt"))
    #expect(trained.status == 0)
    let tokenizer = try String(contentsOfFile: "\(other)/tokenizer.json", encoding: .utf8)
    try folder.write("tokenizer.json", text: tokenizer)
    let evaluated = try Executable.run("evaluate", "--model", path, "--data", data)
    #expect(evaluated.status == 1)
    #expect(evaluated.errors.hasPrefix("Error: \(data): was prepared with the tokenizer "))
    #expect(evaluated.errors.hasSuffix("; prepare the data again\n"))
  }
}
