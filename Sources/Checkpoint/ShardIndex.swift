import Foundation
import Torch

/// Which shard of a model folder holds which tensor: the content of `model.safetensors.index.json`.
struct ShardIndex {
  /// The file name of a shard by the name of each of its tensors.
  let shards: [String: String]

  /// What the file is called.
  static let fileName = "model.safetensors.index.json"

  init(shards: [String: String]) { self.shards = shards }

  /// Reads the index at `url`.
  ///
  /// - Throws: `CheckpointError` if it is no index or names a shard outside its folder.
  init(_ url: URL) throws {
    let bytes = try MappedFile(url.path).withBytes { Array($0) }
    var scanner = try JSONScanner(bytes, path: url.path, document: "the index")
    var shards: [String: String]?
    try scanner.object("the index") { scanner, key in
      guard key == "weight_map" else { return try scanner.skip() }
      var map: [String: String] = [:]
      try scanner.object("weight_map", noun: "tensor name") { scanner, name in
        let shard = try scanner.string("the shard of tensor \(quoted(name))")
        guard Self.isPlain(shard) else {
          throw CheckpointError(
            url.path, "tensor \(quoted(name)): shard \(quoted(shard)) is not the name of a file in this folder")
        }
        map[name] = shard
      }
      shards = map
    }
    try scanner.end()
    guard let shards else { throw CheckpointError(url.path, "has no weight_map") }
    self.shards = shards
  }

  /// Reads all tensors, each from the shard that the index puts it in.
  ///
  /// - Throws: `CheckpointError` if the index and the shards in `folder` disagree in any way.
  func readTensors(in folder: URL) throws -> [String: Tensor] {
    let index = folder.appending(path: Self.fileName).path
    var tensors: [String: Tensor] = [:]
    var origins: [String: String] = [:]
    for shard in Set(shards.values).sorted() {
      let url = folder.appending(path: shard)
      guard FileManager.default.fileExists(atPath: url.path) else {
        throw CheckpointError(index, "names the shard \(quoted(shard)), which is missing from the folder")
      }
      for (name, tensor) in try SafetensorsFile(url).tensors() {
        if let other = origins.updateValue(shard, forKey: name) {
          throw CheckpointError(url.path, "tensor \(quoted(name)) is in the shard \(quoted(other)) as well")
        }
        guard shards[name] != nil else {
          throw CheckpointError(url.path, "tensor \(quoted(name)) is absent from \(Self.fileName)")
        }
        tensors[name] = tensor
      }
    }
    for (name, shard) in shards.sorted(by: { $0.key < $1.key }) where origins[name] != shard {
      throw CheckpointError(index, "puts tensor \(quoted(name)) in the shard \(quoted(shard)), which lacks it")
    }
    return tensors
  }

  /// The index as JSON. `totalBytes` is the size of all tensors.
  func encoded(totalBytes: Int) throws -> Data {
    struct Document: Encodable {
      let metadata: [String: Int]
      let weightMap: [String: String]

      enum CodingKeys: String, CodingKey {
        case metadata
        case weightMap = "weight_map"
      }
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(Document(metadata: ["total_size": totalBytes], weightMap: shards)) + Data("\n".utf8)
  }

  /// Whether `name` can only mean a file directly in a folder.
  static func isPlain(_ name: String) -> Bool {
    !["", ".", ".."].contains(name) && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
  }
}
