import Checkpoint
import Foundation
import TestSupport
import Testing
import Torch

/// `init` and `convert`: model folders made, and made anew.
struct FolderCommandTests {
  private let folder: TemporaryFolder
  private let tokenizer = Fixtures.url("tokenizers/qwen").path

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

  private func tensors(_ name: String) throws -> [String: Tensor] { try ModelFolder(folder(name)).readTensors() }

  @Test func aFolderThatWrites() throws {
    let made = try start("model", "--tokenizer", tokenizer)
    #expect(made.status == 0, "\(made.errors)")
    #expect(made.output == "model: 25056 parameters in bfloat16\n")
    #expect(try folder.read("model/generation_config.json") == #"{"eos_token_id":[3002,3000]}"#)
    #expect(try folder.read("model/config.json").contains("\"torch_dtype\" : \"bfloat16\""))
    #expect(try tensors("model").values.allSatisfy { $0.dtype == .bfloat16 })
    let text = try Executable.run(
      "generate", "--model", "model", "--prompt", "Hello", "--max-tokens", "3", "--seed", "1", "--threads", "1",
      in: folder.url)
    #expect(text.status == 0, "\(text.errors)")
    #expect(text.errors.contains("3 new tokens"))
  }

  @Test func tokensAreChosenAsTheFolderSaysUnlessToldOtherwise() throws {
    #expect(try start("model", "--tokenizer", tokenizer, "--dtype", "float32").status == 0)
    func text(_ arguments: String...) throws -> String {
      let result = try Executable.run(
        ["generate", "--model", "model", "--prompt", "Hello", "--max-tokens", "16"] + arguments, in: folder.url)
      #expect(result.status == 0, "\(result.errors)")
      return result.output
    }
    let greedy = try text("--temperature", "0", "--seed", "1")
    #expect(try text("--seed", "1") != greedy)
    try folder.write("model/generation_config.json", #"{"do_sample": false}"#)
    #expect(try text("--seed", "1") == greedy)
    #expect(try text("--seed", "1", "--temperature", "1") != greedy)
    try folder.write("model/generation_config.json", #"{"do_sample": true, "top_k": 1}"#)
    #expect(try text("--seed", "1") == greedy)
    #expect(try text("--seed", "1", "--top-k", "3000") != greedy)
  }

  @Test func theSeedDecides() throws {
    #expect(try start("one", "--seed", "7", "--dtype", "float32").status == 0)
    #expect(try start("two", "--seed", "7", "--dtype", "float32").status == 0)
    #expect(try start("three", "--seed", "8", "--dtype", "float32").status == 0)
    let files = try ["one", "two", "three"].map { try Data(contentsOf: folder("\($0)/model.safetensors")) }
    #expect(files[0] == files[1])
    #expect(files[0] != files[2])
  }

  @Test func convertingLosesNothing() throws {
    #expect(try start("model", "--tokenizer", tokenizer).status == 0)
    let wide = try Executable.run(
      "convert", "model", "wide", "--dtype", "float32", "--shard-size", "50KB", in: folder.url)
    #expect(wide.output == "wide: 25056 parameters in float32\n")
    let shards = try FileManager.default.contentsOfDirectory(atPath: folder("wide").path).sorted()
    #expect(
      shards == [
        "config.json", "generation_config.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json",
      ])
    #expect(try tensors("wide").values.allSatisfy { $0.dtype == .float32 })
    #expect(try Executable.run("convert", "wide", "back", "--dtype", "bfloat16", in: folder.url).status == 0)
    for file in ["config.json", "model.safetensors", "generation_config.json", "tokenizer.json"] {
      #expect(try Data(contentsOf: folder("back/\(file)")) == Data(contentsOf: folder("model/\(file)")), "\(file)")
    }
  }

  @Test(arguments: ["qwen3-moe-mixed-bfloat16", "qwen3-tied-bfloat16", "qwen3-moe"])
  func whatTransformersWroteStaysTheSame(name: String) throws {
    let source = Fixtures.url("huggingface/\(name)")
    let result = try Executable.run("convert", source.path, "out", "--dtype", "float32", in: folder.url)
    #expect(result.status == 0, "\(result.errors)")
    try FileManager.default.copyItem(
      at: source.appending(path: "expected.safetensors"), to: folder("out/expected.safetensors"))
    #expect(try Executable.run("verify", "out", in: folder.url).status == 0)
  }

  @Test func whatCannotBe() throws {
    expectError(
      try Executable.run("init", "--config", "none.json", "--output", "x", in: folder.url),
      "\(folder("none.json").path): cannot be read: No such file or directory")
    try folder.write("llama.json", #"{"model_type": "llama"}"#)
    expectError(
      try Executable.run("init", "--config", "llama.json", "--output", "x", in: folder.url),
      "\(folder("llama.json").path): model_type is 'llama': expected qwen3, qwen3_moe or wideband")
    let config = try folder.read("small.json")
    try folder.write("odd.json", config.replacing("\"head_dim\": 4", with: "\"head_dim\": 5"))
    expectError(
      try Executable.run("init", "--config", "odd.json", "--output", "x", in: folder.url),
      "odd.json: head_dim is 5: expected an even number, as rotary positions turn pairs")
    try folder.write("narrow.json", config.replacing("3005", with: "3004"))
    expectError(
      try Executable.run("init", "--config", "narrow.json", "--output", "x", "--tokenizer", tokenizer, in: folder.url),
      "narrow.json: the tokenizer has 3005 tokens, but vocab_size is 3004")
    expectError(
      try start("x", "--dtype", "int8"),
      "The value 'int8' is invalid for '--dtype <type>'. Please provide one of 'float32', 'bfloat16' or 'float16'.",
      status: 64)
    expectError(
      try start("x", "--shard-size", "0GB"), "The value '0GB' is invalid for '--shard-size <size>'", status: 64)
    expectError(
      try Executable.run("convert", "nowhere", "x", in: folder.url),
      "\(folder("nowhere").path): there is no such model folder")
    #expect(!folder.exists("x"))
    try FileManager.default.createDirectory(at: folder("full"), withIntermediateDirectories: false)
    try folder.write("full/letter.txt", "dear")
    expectError(
      try start("full"),
      "\(folder("full").path): exists already and is not empty: expected the name of a new folder")
  }

  @Test("a weight that the type cannot hold is named, and nothing is written")
  func convert_finiteOnly() throws {
    #expect(try start("model", "--dtype", "float32").status == 0)
    let file = folder("model/model.safetensors")
    for (value, found) in [(3e38, "3e+38, which float16 cannot hold"), (Double.nan, "nan"), (.infinity, "inf")] {
      var tensors = try SafetensorsFile(file).tensors()
      tensors["model.norm.weight"] = Tensor([1, value, 1, 1, 1, 1, 1, 1].map(Float.init))
      try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: file)
      expectError(
        try Executable.run("convert", "model", "half", "--dtype", "float16", in: folder.url),
        "\(folder("half").path)/model.safetensors: tensor 'model.norm.weight': element 1 is "
          + "\(found): expected finite numbers")
      #expect(!folder.exists("half"))
    }
    expectError(
      try Executable.run(
        "quantize", "--model", "model", "--output", "small", "--scheme", "int8", in: folder.url),
      "\(folder("small").path)/model.safetensors: tensor 'model.norm.weight': element 1 is inf: expected finite numbers"
    )
    #expect(!folder.exists("small"))
  }

  @Test("what cannot be read is not left out in silence")
  func convert_unreadableExtraFile() throws {
    #expect(try start("model").status == 0)
    try FileManager.default.createDirectory(at: folder("model/tokenizer.json"), withIntermediateDirectories: false)
    expectError(
      try Executable.run("convert", "model", "out", in: folder.url),
      "\(folder("model/tokenizer.json").path): is a folder: expected a file")
    #expect(!folder.exists("out"))
  }

  @Test("memory that is not there is said in bytes, in no words of libtorch's")
  func init_beyondMemory() throws {
    let config = try folder.read("small.json").replacing("3005", with: "16777216")
      .replacing("\"hidden_size\": 8", with: "\"hidden_size\": 1048576")
    try folder.write("huge.json", config)
    expectError(
      try Executable.run("init", "--config", "huge.json", "--output", "x", in: folder.url),
      "huge.json: cannot allocate 70368744177664 bytes of memory")
    #expect(!folder.exists("x"))
  }

  @Test func convertRefusesWeightsThatDoNotFit() throws {
    #expect(try start("model").status == 0)
    let config = try folder.read("model/config.json")
    try folder.write(
      "model/config.json",
      config.replacing("\"tie_word_embeddings\" : true", with: "\"tie_word_embeddings\" : false"))
    expectError(
      try Executable.run("convert", "model", "x", in: folder.url),
      "model: missing tensor 'lm_head.weight': the configuration expects it with shape [3005, 8]")
    #expect(!folder.exists("x"))
  }
}
