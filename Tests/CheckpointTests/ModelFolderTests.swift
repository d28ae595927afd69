import Foundation
import TestSupport
import Testing
import WidebandTorch

@testable import WidebandCheckpoint

@Suite struct ModelFolderTests {
  let parent: TemporaryFolder
  let url: URL
  let folder: ModelFolder

  static let configuration = Data(#"{"model_type": "qwen3"}"#.utf8)
  static var tensors: [(name: String, tensor: Tensor)] {
    [("z", Tensor([1, 2, 3] as [Float])), ("a", Tensor([4, 5] as [Float])), ("m", Tensor([6] as [Int64]))]
  }

  init() throws {
    parent = try TemporaryFolder()
    url = parent.url("model")
    folder = ModelFolder(url)
  }

  private func write(maximumShardBytes: Int = 1000, extraFiles: [String: Data] = [:]) throws {
    try folder.write(
      configuration: Self.configuration, tensors: Self.tensors, extraFiles: extraFiles,
      maximumShardBytes: maximumShardBytes)
  }

  private func expectTensors() throws {
    let tensors = try folder.readTensors()
    #expect(tensors.keys.sorted() == ["a", "m", "z"])
    #expect(try tensors["z"]?.elements(Float.self) == [1, 2, 3])
    #expect(try tensors["a"]?.elements(Float.self) == [4, 5])
    #expect(try tensors["m"]?.elements(Int64.self) == [6])
  }

  private var content: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
  }

  @Test func write_smallModel_isOneFile() throws {
    try write(maximumShardBytes: 28, extraFiles: ["tokenizer.json": Data("{}".utf8)])
    #expect(try content == ["config.json", "model.safetensors", "tokenizer.json"])
    #expect(try folder.configurationData() == Self.configuration)
    try expectTensors()
    #expect(try SafetensorsFile(url.appending(path: "model.safetensors")).metadata == ["format": "pt"])
  }

  @Test(arguments: [
    (27, [["z", "a"], ["m"]]), (19, [["z"], ["a", "m"]]), (8, [["z"], ["a"], ["m"]]), (-1, [["z"], ["a"], ["m"]]),
  ])
  func write_shards_areFilledInOrder(_ maximum: Int, _ expected: [[String]]) throws {
    try write(maximumShardBytes: maximum)
    let shards = expected.indices.map { "model-0000\($0 + 1)-of-0000\(expected.count).safetensors" }
    #expect(try content == ["config.json"] + shards + ["model.safetensors.index.json"])
    for (shard, names) in zip(shards, expected) {
      #expect(Set(try SafetensorsFile(url.appending(path: shard)).names) == Set(names))
    }
    try expectTensors()
    let index = try JSONSerialization.jsonObject(
      with: Data(contentsOf: url.appending(path: "model.safetensors.index.json")))
    let members = try #require(index as? [String: [String: Any]])
    #expect(members["metadata"]?["total_size"] as? Int == 28)
    let map = try #require(members["weight_map"] as? [String: String])
    #expect(map == [String: String](uniqueKeysWithValues: zip(shards, expected).flatMap { s, n in n.map { ($0, s) } }))
  }

  @Test(arguments: [1000, 8]) func write_dtype_convertsFloats(_ maximumShardBytes: Int) throws {
    let tensors = try withTorch { [("a", Tensor([Float(1.5), 2])), ("b", Tensor([Int64(7)]))] }
    try folder.write(
      configuration: Data("{}".utf8), tensors: tensors, dtype: .bfloat16, maximumShardBytes: maximumShardBytes)
    let read = try folder.readTensors()
    #expect(read["a"]?.dtype == .bfloat16)
    #expect(try read["a"]?.elements(Float.self) == [1.5, 2])
    #expect(read["b"]?.dtype == .int64)
    #expect(try read["b"]?.elements(Int64.self) == [7])
  }

  @Test("a folder that is not empty is never replaced")
  func write_neverReplaces() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    try write()
    try Data("mine".utf8).write(to: url.appending(path: "notes.md"))
    let before = try content
    try FileManager.default.createSymbolicLink(at: parent.url("link"), withDestinationURL: url)
    for path in ["model", "link", "model/../model/"] {
      let other = ModelFolder(parent.url(path))
      #expect(
        message { try other.write(configuration: Data("{}".utf8), tensors: Self.tensors) }
          == "\(other.url.path): exists already and is not empty: expected the name of a new folder")
    }
    #expect(try content == before)
    try expectTensors()
    #expect(try parent.names() == ["link", "model"])
  }

  @Test("a folder that is filled during the write is not replaced")
  func write_losesARace() throws {
    let found = message {
      try AtomicFolder.write(to: url) { _ in
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
        try Data("mine".utf8).write(to: url.appending(path: "notes.md"))
      }
    }
    #expect(found == "\(url.path): exists already and is not empty: expected the name of a new folder")
    #expect(try content == ["notes.md"])
    #expect(try parent.names() == ["model"])
  }

  @Test("a link to an empty folder is followed")
  func write_followsALink() throws {
    try FileManager.default.createDirectory(at: parent.url("disk"), withIntermediateDirectories: false)
    try FileManager.default.createSymbolicLink(at: url, withDestinationURL: parent.url("disk"))
    try write()
    #expect(try parent.names() == ["disk", "model"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: parent("disk")).count == 2)
    try expectTensors()
  }

  @Test(
    "a weight that is not finite in the written type is named",
    arguments: [
      (3e38, DType.float16, "3e+38, which float16 cannot hold"), (Double.nan, .float16, "nan"),
      (-.infinity, .bfloat16, "-inf"), (3.4e38, .bfloat16, "3.4e+38, which bfloat16 cannot hold"),
      (.infinity, .float32, "inf"), (1e300, .float32, "1e+300, which float32 cannot hold"), (.nan, .float64, "nan"),
    ])
  func write_finiteOnly(value: Double, dtype: DType, found: String) throws {
    let place = 5000
    let tensor = Tensor((0..<6000).map { $0 == place ? value : 1 } as [Double], shape: [60, 100])
    for maximum in [1, 1_000_000] {
      let text = message {
        try folder.write(
          configuration: Data("{}".utf8), tensors: [("a", .ones([2])), ("w", tensor)], dtype: dtype,
          maximumShardBytes: maximum)
      }
      let file = maximum == 1 ? "model-00002-of-00002.safetensors" : "model.safetensors"
      #expect(text == "\(url.path)/\(file): tensor 'w': element \(place) is \(found): expected finite numbers")
      #expect(try parent.names() == [])
    }
  }

  @Test("the largest number of a type is finite, and integers are not checked")
  func write_largestNumbers() throws {
    try folder.write(
      configuration: Data("{}".utf8),
      tensors: [("w", Tensor([65504, -65504] as [Float])), ("i", Tensor([Int64.max, -1]))], dtype: .float16)
    #expect(try folder.readTensors()["w"]?.elements(Float.self) == [65504, -65504])
  }

  @Test(arguments: ["config.json", "model.safetensors", "model.safetensors.index.json", "../x", "a/b", "", ".."])
  func write_extraFileName_isChecked(_ name: String) throws {
    let found = message { try write(extraFiles: [name: Data()]) }
    #expect(found == "\(url.path): '\(name)' cannot be the name of an extra file in a model folder")
    #expect(try parent.names() == [])
  }

  @Test(arguments: [1000, 1])
  func write_duplicateName_isRefused(_ maximumShardBytes: Int) throws {
    let found = message {
      try folder.write(
        configuration: Data(), tensors: [("a", .ones([1])), ("a", .ones([1]))], maximumShardBytes: maximumShardBytes)
    }
    let path = maximumShardBytes == 1 ? url.path : "\(url.path)/model.safetensors"
    #expect(found == "\(path): the tensor name 'a' is taken")
    #expect(try parent.names() == [])
  }

  @Test func read_missingParts_areNamed() throws {
    let missing = "\(url.path): there is no such model folder"
    #expect(message { _ = try folder.readTensors() } == missing)
    #expect(message { _ = try folder.configurationData() } == missing)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    #expect(
      message { _ = try folder.readTensors() }
        == "\(url.path): holds neither model.safetensors nor model.safetensors.index.json")
    #expect(
      message { _ = try folder.configurationData() } == "\(url.path)/config.json: is missing from the model folder")
    try FileManager.default.removeItem(at: url)
    try Data().write(to: url)
    let file = "\(url.path): is a file: expected a model folder"
    #expect(message { _ = try folder.readTensors() } == file)
    #expect(message { _ = try folder.configurationData() } == file)
    #expect(message { try write() } == file)
  }

  @Test("errors are distinguished by their case")
  func errors_cases() throws {
    #expect(throws: CheckpointError.unreadable(url.path, "there is no such model folder")) { try folder.readTensors() }
    try write()
    #expect(
      throws: CheckpointError.exists(url.path, "exists already and is not empty: expected the name of a new folder")
    ) {
      try write()
    }
    let weights = url.appending(path: "model.safetensors")
    #expect(throws: CheckpointError.mismatch(weights.path, "has no tensor 'b'")) {
      try SafetensorsFile(weights).tensor("b")
    }
    try Data("12345678".utf8).write(to: weights)
    do { _ = try folder.readTensors() } catch CheckpointError.malformed(let path, let sentence) {
      #expect(path == weights.path && sentence.hasPrefix("\(path): header length "))
    }
  }

  /// An index, and the message after the folder's path. Shard one has a and b, shard two has c.
  @Test(arguments: [
    (
      #"{"weight_map": {"a": "one", "b": "one", "c": "three"}}"#,
      "names the shard 'three', which is missing from the folder"
    ),
    (
      #"{"weight_map": {"a": "one", "b": "one", "c": "two", "d": "two"}}"#,
      "puts tensor 'd' in the shard 'two', which lacks it"
    ),
    (#"{"weight_map": {"a": "one", "b": "two", "c": "two"}}"#, "puts tensor 'b' in the shard 'two', which lacks it"),
    (#"{"weight_map": {"a": "../one"}}"#, "tensor 'a': shard '../one' is not the name of a file in this folder"),
    (#"{"weight_map": {"a": ".."}}"#, "tensor 'a': shard '..' is not the name of a file in this folder"),
    (#"{"weight_map": {"a": ""}}"#, "tensor 'a': shard '' is not the name of a file in this folder"),
    (
      #"{"weight_map": {"b": "one", "c": "two", "a": "one", "a": "two"}}"#,
      "puts tensor 'a' in the shard 'two', which lacks it"
    ),
    (#"{"weight_map": {"a": "\u0000"}}"#, "tensor 'a': shard '\\u{0}' is not the name of a file in this folder"),
    (
      #"{"weight_map": {"a": "\ud800"}}"#,
      "tensor 'a': shard '\u{FFFD}\u{FFFD}\u{FFFD}' is not the name of a file in this folder"
    ),
    (#"{"weight_map": {"a": 1}}"#, "the shard of tensor 'a' is 1: expected a string"),
    (#"{"weight_map": []}"#, "weight_map is a list: expected an object"),
    (#"{"metadata": {"total_size": 12.5}}"#, "has no weight_map"),
    (#"{"metadata": {"total_size": 1x}}"#, "line 1, column 30: malformed JSON: expected ',' or '}'"),
    (#"[1]"#, "the index is a list: expected an object"),
  ])
  func index_invalid_isRefused(_ index: String, _ expected: String) throws {
    try writeShards(index, ["one": ["a", "b"], "two": ["c"]])
    let found = message { _ = try folder.readTensors() }
    #expect(found == "\(url.path)/model.safetensors.index.json: \(expected)")
  }

  @Test("the total size in an index is not checked")
  func index_otherTotal() throws {
    let map = #""weight_map": {"a": "one", "b": "two"}"#
    try writeShards("", ["one": ["a"], "two": ["b"]])
    for metadata in [
      "", #""metadata": null, "#, #""metadata": {"total_size": 1}, "#, #""metadata": {"total_size": 1e999}, "#,
    ] {
      try Data("{\(metadata)\(map)}".utf8).write(to: url.appending(path: "model.safetensors.index.json"))
      #expect(try folder.readTensors().keys.sorted() == ["a", "b"], "\(metadata)")
    }
  }

  @Test("a file that cannot be examined is not reported as missing")
  func read_whatCannotBeLookedAt() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    for name in ["config.json", "model.safetensors"] {
      try FileManager.default.createSymbolicLink(atPath: "\(url.path)/\(name)", withDestinationPath: name)
    }
    let reason = "Too many levels of symbolic links"
    #expect(
      message { _ = try folder.configurationData() } == "\(url.path)/config.json: cannot be read: \(reason)")
    #expect(message { _ = try folder.readTensors() }.hasSuffix(reason))
  }

  @Test func index_unlistedTensor_isNamed() throws {
    try writeShards(#"{"weight_map": {"a": "one"}}"#, ["one": ["a", "b"]])
    let found = message { _ = try folder.readTensors() }
    #expect(found == "\(url.path)/one: tensor 'b' is absent from model.safetensors.index.json")
  }

  @Test func index_duplicateTensor_isNamed() throws {
    try writeShards(#"{"weight_map": {"a": "one", "b": "two"}}"#, ["one": ["a", "b"], "two": ["b"]])
    let found = message { _ = try folder.readTensors() }
    #expect(found == "\(url.path)/two: tensor 'b' is in the shard 'one' as well")
  }

  private func writeShards(_ index: String, _ shards: [String: [String]]) throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    for (shard, names) in shards {
      try Safetensors.write(names.map { ($0, .ones([1])) }, to: url.appending(path: shard))
    }
    try Data(index.utf8).write(to: url.appending(path: "model.safetensors.index.json"))
  }
}
