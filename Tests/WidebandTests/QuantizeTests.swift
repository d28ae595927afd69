import Foundation
import TestSupport
import Testing
import WidebandCheckpoint
import WidebandTorch

/// `quantize` and `--quantize`.
struct QuantizeTests {
  private let folder: TemporaryFolder
  private let model: String
  private let data: String

  init() throws {
    let workspace = try Workspace.shared()
    folder = try TemporaryFolder()
    model = workspace.model
    data = workspace("tokens")
  }

  private func quantize(_ scheme: String, _ output: String = "small", model: String? = nil) throws -> Executable.Result
  {
    try folder.run("quantize", "--model", model ?? self.model, "--output", output, "--scheme", scheme)
  }

  private func bitsPerByte(_ model: String, _ arguments: String...) throws -> Double {
    let result = try folder.run(["evaluate", "--model", model, "--data", data, "--length", "64", "--json"] + arguments)
    #expect(result.status == 0, "\(result.errors)")
    let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
    return try #require((json as? [String: Any])?["bitsPerByte"] as? Double)
  }

  @Test func quantize_lossIsSmall() throws {
    let exact = try bitsPerByte(model)
    for (scheme, loss) in [("int8", 0.002), ("int4", 0.05)] {
      let made = try quantize(scheme, scheme).succeeding()
      let tensors = try ModelFolder(folder.url(scheme)).readTensors()
      let bytes = tensors.values.reduce(0) { $0 + $1.count * $1.dtype.size }
      let before = try ModelFolder(URL(filePath: model)).readTensors().values.reduce(0) { $0 + $1.count }
      #expect(
        made.output == "\(scheme): \(before) parameters in \(scheme), \(bytes) bytes, \(4 * before) before\n")
      #expect(try folder.read("\(scheme)/config.json").contains("\"scheme\" : \"\(scheme)\""))
      #expect(try folder.read("\(scheme)/tokenizer.json") == read("tokenizer.json"))
      let found = try bitsPerByte(scheme)
      #expect(abs(found / exact - 1) < loss && found != exact)
      #expect(try bitsPerByte(model, "--quantize", scheme) == found)
      let info = try folder.run("info", scheme)
      #expect(info.output.contains("weights        \(String(format: "%.3f", Double(bytes) / 1e6)) MB\n"))
      #expect(
        info.output.contains(
          "quantized      \(scheme), groups of 32, \(scheme == "int8" ? 1.0625 : 0.5625) bytes a weight\n"))
      #expect(info.output.contains("with matrices in \(scheme).\n"))
    }
  }

  @Test func quantizeWhileLoading_equalsFolder() throws {
    #expect(try quantize("int4").status == 0)
    func text(_ model: String, _ arguments: String...) throws -> String {
      let result = try folder.run(
        ["generate", "--model", model, "--prompt", "And God", "--max-tokens", "12", "--seed", "1"] + arguments)
      #expect(result.status == 0, "\(result.errors)")
      return result.output
    }
    #expect(try text("small") == text(model, "--quantize", "int4"))
    #expect(try text("small") == text("small", "--kernels", "composed"))
  }

  @Test func convert_quantizedFolder() throws {
    #expect(try quantize("int8").status == 0)
    let kept = try folder.run("convert", "small", "kept")
    #expect(kept.output.hasSuffix(" parameters in int8\n"))
    for file in ["config.json", "model.safetensors"] {
      #expect(try Data(contentsOf: folder.url("kept/\(file)")) == Data(contentsOf: folder.url("small/\(file)")))
    }
    let floats = try folder.run("convert", "small", "floats", "--dtype", "float32")
    #expect(floats.output.hasSuffix(" parameters in float32\n"))
    #expect(try !folder.read("floats/config.json").contains("quantization_config"))
    let tensors = try ModelFolder(folder.url("floats")).readTensors()
    #expect(try tensors.keys.sorted() == ModelFolder(URL(filePath: model)).readTensors().keys.sorted())
    #expect(tensors.values.allSatisfy { $0.dtype == .float32 })
    #expect(try abs(bitsPerByte("floats") - bitsPerByte("small")) < 1e-6)
  }

  @Test func quantize_invalidArguments() throws {
    #expect(try quantize("int8").status == 0)
    let occupied = "exists already and is not empty: expected the name of a new folder"
    expectError(try quantize("int4"), "\(folder("small")): \(occupied)")
    expectError(
      try quantize("int4", "x", model: "small"),
      "\(folder("small")): the weights are quantized already (int8): expected floats")
    expectError(
      try folder.run("generate", "--model", "small", "--prompt", "a", "--quantize", "int8"),
      "\(folder("small")): the weights are quantized already (int8): expected floats")
    expectError(try quantize("int4", "x", model: "nowhere"), "\(folder("nowhere")): there is no such model folder")
    expectError(
      try quantize("int3", "x"),
      "The value 'int3' is invalid for '--scheme <scheme>'. Please provide one of 'int8' and 'int4'.", status: 64)
    expectError(
      try quantize("int8", "no/such/folder"),
      "\(folder("no/such/folder")): cannot create a temporary folder next to it: No such file or directory")
    expectError(
      try folder.run(
        "train", "--recipe", Workspace.shared()("recipe.yaml"), "--data", data, "--from", "small", "--output", "run"),
      "small: the weights are quantized (int8): expected floats, which `wideband convert --dtype` "
        + "makes of them, or a recipe with 'lora'")
    #expect(!folder.exists("x") && !folder.exists("run"))
  }

  @Test func quantize_notFinite_isNamed() throws {
    let broken = try Workspace.shared().copyOfModel()
    let name = "model.layers.1.mlp.up_proj.weight"
    var tensors = try SafetensorsFile(broken.url("model.safetensors")).tensors()
    let shape = try #require(tensors[name]).shape
    tensors[name] = try withTorch { .ones(shape) / 0 }
    try Safetensors.write(tensors.map { (name: $0.key, tensor: $0.value) }, to: broken.url("model.safetensors"))
    let sentence = "\(broken.path): tensor '\(name)' holds a number that is not finite, or of 2^126 or more"
    expectError(try quantize("int8", "x", model: broken.path), sentence)
    expectError(
      try Executable.run("generate", "--model", broken.path, "--prompt", "a", "--quantize", "int4"), sentence)
    #expect(!folder.exists("x"))
  }

  private func read(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: model).appending(path: name)), as: UTF8.self)
  }
}
