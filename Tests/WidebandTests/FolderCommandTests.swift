import Foundation
import TestSupport
import Testing
import WidebandCheckpoint
import WidebandTorch

/// `init` and `convert`.
struct FolderCommandTests {
  private let folder: TemporaryFolder
  private let tokenizer = Fixtures.url("tokenizers/qwen").path

  init() throws {
    folder = try TemporaryFolder()
    try folder.writeSmallConfiguration()
  }

  private func tensors(_ name: String) throws -> [String: Tensor] { try ModelFolder(folder.url(name)).readTensors() }

  @Test func init_withTokenizer_generates() throws {
    let made = try folder.initializeModel("model", "--tokenizer", tokenizer).succeeding()
    #expect(made.output == "model: 25056 parameters in bfloat16\n")
    #expect(try folder.read("model/generation_config.json") == #"{"eos_token_id":[3002,3000]}"#)
    #expect(try folder.read("model/config.json").contains("\"torch_dtype\" : \"bfloat16\""))
    #expect(try tensors("model").values.allSatisfy { $0.dtype == .bfloat16 })
    let text = try folder.run(
      "generate", "--model", "model", "--prompt", "Hello", "--max-tokens", "3", "--seed", "1", "--threads", "1")
    #expect(text.status == 0, "\(text.errors)")
    #expect(text.errors.contains("3 new tokens"))
  }

  @Test func generate_samplingDefaultsOfFolder() throws {
    #expect(try folder.initializeModel("model", "--tokenizer", tokenizer, "--dtype", "float32").status == 0)
    func text(_ arguments: String...) throws -> String {
      let result = try folder.run(
        ["generate", "--model", "model", "--prompt", "Hello", "--max-tokens", "16"] + arguments
      ).succeeding()
      return result.output
    }
    let greedy = try text("--temperature", "0", "--seed", "1")
    #expect(try text("--seed", "1") != greedy)
    try folder.write("model/generation_config.json", text: #"{"do_sample": false}"#)
    #expect(try text("--seed", "1") == greedy)
    #expect(try text("--seed", "1", "--temperature", "1") != greedy)
    try folder.write("model/generation_config.json", text: #"{"do_sample": true, "top_k": 1}"#)
    #expect(try text("--seed", "1") == greedy)
    #expect(try text("--seed", "1", "--top-k", "3000") != greedy)
  }

  @Test func init_dependsOnSeed() throws {
    #expect(try folder.initializeModel("one", "--seed", "7", "--dtype", "float32").status == 0)
    #expect(try folder.initializeModel("two", "--seed", "7", "--dtype", "float32").status == 0)
    #expect(try folder.initializeModel("three", "--seed", "8", "--dtype", "float32").status == 0)
    let files = try ["one", "two", "three"].map { try Data(contentsOf: folder.url("\($0)/model.safetensors")) }
    #expect(files[0] == files[1])
    #expect(files[0] != files[2])
  }

  @Test func convert_roundTrip() throws {
    #expect(try folder.initializeModel("model", "--tokenizer", tokenizer).status == 0)
    let wide = try folder.run("convert", "model", "wide", "--dtype", "float32", "--shard-size", "50KB")
    #expect(wide.output == "wide: 25056 parameters in float32\n")
    let shards = try FileManager.default.contentsOfDirectory(atPath: folder("wide")).sorted()
    #expect(
      shards == [
        "config.json", "generation_config.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json",
      ])
    #expect(try tensors("wide").values.allSatisfy { $0.dtype == .float32 })
    #expect(try folder.run("convert", "wide", "back", "--dtype", "bfloat16").status == 0)
    for file in ["config.json", "model.safetensors", "generation_config.json", "tokenizer.json"] {
      #expect(
        try Data(contentsOf: folder.url("back/\(file)")) == Data(contentsOf: folder.url("model/\(file)")), "\(file)")
    }
  }

  @Test(arguments: ["qwen3-moe-mixed-bfloat16", "qwen3-tied-bfloat16", "qwen3-moe"])
  func convert_transformersFolder(name: String) throws {
    let source = Fixtures.url("huggingface/\(name)")
    try folder.run("convert", source.path, "out", "--dtype", "float32").succeeding()
    try FileManager.default.copyItem(
      at: source.appending(path: "expected.safetensors"), to: folder.url("out/expected.safetensors"))
    #expect(try folder.run("verify", "out").status == 0)
  }

  @Test func commands_invalidArguments() throws {
    expectError(
      try folder.run("init", "--config", "none.json", "--output", "x"),
      "\(folder("none.json")): cannot be read: No such file or directory")
    try folder.write("llama.json", text: #"{"model_type": "llama"}"#)
    expectError(
      try folder.run("init", "--config", "llama.json", "--output", "x"),
      "\(folder("llama.json")): model_type is 'llama': expected qwen3, qwen3_moe or wideband")
    let config = try folder.read("small.json")
    try folder.write("odd.json", text: config.replacing("\"head_dim\": 4", with: "\"head_dim\": 5"))
    expectError(
      try folder.run("init", "--config", "odd.json", "--output", "x"),
      "odd.json: head_dim is 5: expected an even number, as rotary positions rotate pairs")
    try folder.write("narrow.json", text: config.replacing("3005", with: "3004"))
    expectError(
      try folder.run("init", "--config", "narrow.json", "--output", "x", "--tokenizer", tokenizer),
      "narrow.json: the tokenizer has 3005 tokens, but vocab_size is 3004")
    expectError(
      try folder.initializeModel("x", "--dtype", "int8"),
      "The value 'int8' is invalid for '--dtype <type>'. Please provide one of 'float32', 'bfloat16' or 'float16'.",
      status: 64)
    expectError(
      try folder.initializeModel("x", "--shard-size", "0GB"), "--shard-size is 0: expected a size as in 500MB",
      status: 64)
    expectError(try folder.run("convert", "nowhere", "x"), "\(folder("nowhere")): there is no such model folder")
    #expect(!folder.exists("x"))
    try FileManager.default.createDirectory(at: folder.url("full"), withIntermediateDirectories: false)
    try folder.write("full/letter.txt", text: "dear")
    expectError(
      try folder.initializeModel("full"),
      "\(folder("full")): exists already and is not empty: expected the name of a new folder")
  }

  @Test("a weight that the type cannot hold is named, and nothing is written")
  func convert_finiteOnly() throws {
    #expect(try folder.initializeModel("model", "--dtype", "float32").status == 0)
    let file = folder.url("model/model.safetensors")
    for (value, found) in [(3e38, "3e+38, which float16 cannot hold"), (Double.nan, "nan"), (.infinity, "inf")] {
      var tensors = try SafetensorsFile(file).tensors()
      tensors["model.norm.weight"] = Tensor([1, value, 1, 1, 1, 1, 1, 1].map(Float.init))
      try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: file)
      expectError(
        try folder.run("convert", "model", "half", "--dtype", "float16"),
        "\(folder("half"))/model.safetensors: tensor 'model.norm.weight': element 1 is "
          + "\(found): expected finite numbers")
      #expect(!folder.exists("half"))
    }
    expectError(
      try folder.run("quantize", "--model", "model", "--output", "small", "--scheme", "int8"),
      "\(folder("small"))/model.safetensors: tensor 'model.norm.weight': element 1 is inf: expected finite numbers"
    )
    #expect(!folder.exists("small"))
  }

  @Test("a file that cannot be read is an error")
  func convert_unreadableExtraFile() throws {
    #expect(try folder.initializeModel("model").status == 0)
    try FileManager.default.createDirectory(at: folder.url("model/tokenizer.json"), withIntermediateDirectories: false)
    expectError(
      try folder.run("convert", "model", "out"),
      "\(folder("model/tokenizer.json")): is a folder: expected a file")
    #expect(!folder.exists("out"))
  }

  @Test("an allocation failure is one sentence with the number of bytes")
  func init_beyondMemory() throws {
    let config = try folder.read("small.json").replacing("3005", with: "16777216")
      .replacing("\"hidden_size\": 8", with: "\"hidden_size\": 1048576")
    try folder.write("huge.json", text: config)
    expectError(
      try folder.run("init", "--config", "huge.json", "--output", "x"),
      "huge.json: cannot allocate 70368744177664 bytes of memory")
    #expect(!folder.exists("x"))
  }

  @Test func convert_missingWeight_isRefused() throws {
    #expect(try folder.initializeModel("model").status == 0)
    let config = try folder.read("model/config.json")
    try folder.write(
      "model/config.json",
      text: config.replacing("\"tie_word_embeddings\" : true", with: "\"tie_word_embeddings\" : false"))
    expectError(
      try folder.run("convert", "model", "x"),
      "model: missing tensor 'lm_head.weight': the configuration expects it with shape [3005, 8]")
    #expect(!folder.exists("x"))
  }
}
