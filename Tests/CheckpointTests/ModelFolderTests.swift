import Foundation
import Testing
import Torch

@testable import Checkpoint

@Suite struct ModelFolderTests {
  let parent: TemporaryFolder
  let url: URL
  let folder: ModelFolder

  static let configuration = Data(#"{"model_type": "qwen3"}"#.utf8)
  static let tensors: [(name: String, tensor: Tensor)] = [
    ("z", Tensor([1, 2, 3] as [Float])), ("a", Tensor([4, 5] as [Float])), ("m", Tensor([6] as [Int64])),
  ]

  init() throws {
    parent = try TemporaryFolder()
    url = parent("model")
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

  @Test func oneFileHoldsASmallModel() throws {
    try write(maximumShardBytes: 28, extraFiles: ["tokenizer.json": Data("{}".utf8)])
    #expect(try content == ["config.json", "model.safetensors", "tokenizer.json"])
    #expect(try folder.configurationData() == Self.configuration)
    try expectTensors()
    #expect(try SafetensorsFile(url.appending(path: "model.safetensors")).metadata == ["format": "pt"])
  }

  @Test(arguments: [
    (27, [["z", "a"], ["m"]]), (19, [["z"], ["a", "m"]]), (8, [["z"], ["a"], ["m"]]), (-1, [["z"], ["a"], ["m"]]),
  ])
  func shardsAreFilledInOrder(_ maximum: Int, _ expected: [[String]]) throws {
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

  @Test(arguments: [1000, 8]) func realNumbersAreWrittenInTheTypeAskedFor(_ maximumShardBytes: Int) throws {
    let tensors = try withTorch { [("a", Tensor([Float(1.5), 2])), ("b", Tensor([Int64(7)]))] }
    try folder.write(
      configuration: Data("{}".utf8), tensors: tensors, dtype: .bfloat16, maximumShardBytes: maximumShardBytes)
    let read = try folder.readTensors()
    #expect(read["a"]?.dtype == .bfloat16)
    #expect(try read["a"]?.elements(Float.self) == [1.5, 2])
    #expect(read["b"]?.dtype == .int64)
    #expect(try read["b"]?.elements(Int64.self) == [7])
  }

  @Test func aModelReplacesAModelThatIsStillMapped() throws {
    try write(maximumShardBytes: 8)
    let tensors = try folder.readTensors()
    try folder.write(configuration: Data("{}".utf8), tensors: tensors.map { ($0.key, $0.value) })
    #expect(try content == ["config.json", "model.safetensors"])
    try expectTensors()
    #expect(try tensors["z"]?.elements(Float.self) == [1, 2, 3])
    #expect(try parent.content == ["model"])
  }

  @Test func anotherFolderIsNotReplaced() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    try write()
    try FileManager.default.removeItem(at: url.appending(path: "config.json"))
    let found = message { try write() }
    #expect(found == "\(url.path): is not empty and holds no config.json: it is not replaced")
    try expectTensors()
  }

  @Test(arguments: ["config.json", "model.safetensors", "model.safetensors.index.json", "../x", "a/b", "", ".."])
  func anExtraFileHasItsOwnPlainName(_ name: String) throws {
    let found = message { try write(extraFiles: [name: Data()]) }
    #expect(found == "\(url.path): '\(name)' cannot be the name of an extra file in a model folder")
    #expect(try parent.content == [])
  }

  @Test(arguments: [1000, 1])
  func aNameInTwoShardsIsRefused(_ maximumShardBytes: Int) throws {
    let found = message {
      try folder.write(
        configuration: Data(), tensors: [("a", .ones([1])), ("a", .ones([1]))], maximumShardBytes: maximumShardBytes)
    }
    let path = maximumShardBytes == 1 ? url.path : "\(url.path)/model.safetensors"
    #expect(found == "\(path): the tensor name 'a' is taken")
    #expect(try parent.content == [])
  }

  @Test func whatIsMissingIsNamed() throws {
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
    let file = "\(url.path): is a file, expected a model folder"
    #expect(message { _ = try folder.readTensors() } == file)
    #expect(message { _ = try folder.configurationData() } == file)
    #expect(message { try write() } == file)
  }

  /// An index, and what is said about it after the folder's path. Shard one holds a and b, shard two holds c.
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
    (#"{"weight_map": {"a": "one", "a": "two"}}"#, "duplicate tensor name 'a' in weight_map"),
    (#"{"weight_map": {"a": 1}}"#, "the shard of tensor 'a': expected a string, found '1'"),
    (#"{"weight_map": []}"#, "weight_map: expected an object, found '['"),
    (#"{"metadata": {"total_size": 12.5}}"#, "has no weight_map"),
    (#"{"metadata": {"total_size": 1x}}"#, "the index is not valid JSON: no value at byte 28"),
    (#"[1]"#, "the index: expected an object, found '[1'"),
  ])
  func anIndexThatLiesIsRefused(_ index: String, _ expected: String) throws {
    try writeShards(index, ["one": ["a", "b"], "two": ["c"]])
    let found = message { _ = try folder.readTensors() }
    #expect(found == "\(url.path)/model.safetensors.index.json: \(expected)")
  }

  @Test func aTensorThatTheIndexDoesNotKnowIsNamed() throws {
    try writeShards(#"{"weight_map": {"a": "one"}}"#, ["one": ["a", "b"]])
    let found = message { _ = try folder.readTensors() }
    #expect(found == "\(url.path)/one: tensor 'b' is absent from model.safetensors.index.json")
  }

  @Test func aTensorInTwoShardsIsNamed() throws {
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
