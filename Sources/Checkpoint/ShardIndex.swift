import CheckedInput
import Foundation
import Torch

/// Which shard of a model folder holds which tensor: the content of `model.safetensors.index.json`.
///
/// Its `metadata.total_size` is not held against the shards: no reader of such folders does, and what writers count in it
/// differs, tied weights and the headers of files among it. What a tensor takes is checked by the header of its shard.
struct ShardIndex {
  /// The file name of a shard by the name of each of its tensors.
  let shards: [String: String]

  /// What the file is called.
  static let fileName = "model.safetensors.index.json"

  init(shards: [String: String]) { self.shards = shards }

  /// The longest index that is read: that of a model with hundreds of thousands of tensors.
  private static let maximumBytes = 100_000_000

  /// Reads the index at `url`.
  ///
  /// - Throws: `CheckpointError` if it is no index or names a shard outside its folder.
  init(_ url: URL) throws {
    let file = try MappedFile(url.path)
    do {
      shards = try file.withBytes { bytes in
        guard bytes.count <= Self.maximumBytes else {
          throw CheckpointError(url.path, "has \(bytes.count) bytes: expected at most \(Self.maximumBytes)")
        }
        return try bytes.withMemoryRebound(to: UInt8.self) {
          var scanner = JSONScanner($0, file: printable(path: url.path))
          return try Self.shards(&scanner, url.path)
        }
      }
    } catch let error as InputError { throw CheckpointError(error) }
  }

  private static func shards(_ scanner: inout JSONScanner, _ path: String) throws -> [String: String] {
    var shards: [String: String]?
    guard scanner.isAtObject() else {
      throw CheckpointError(path, "the index is \(try scanner.summary()): expected an object")
    }
    try scanner.object { scanner, key in
      guard key.elementsEqual("weight_map".utf8) else { return try scanner.skip() }
      guard scanner.isAtObject() else {
        throw CheckpointError(path, "weight_map is \(try scanner.summary()): expected an object")
      }
      var map: [String: String] = [:]
      try scanner.object { scanner, name in
        let name = String(decoding: name, as: UTF8.self)
        map[name] = try shard(of: name, &scanner, path)
      }
      shards = map
    }
    try scanner.end()
    guard let shards else { throw CheckpointError(path, "has no weight_map") }
    return shards
  }

  private static func shard(of name: String, _ scanner: inout JSONScanner, _ path: String) throws -> String {
    let tensor = "tensor \(quoted(name))"
    guard scanner.isAtString() else {
      throw CheckpointError(path, "the shard of \(tensor) is \(try scanner.summary()): expected a string")
    }
    var bytes: [UInt8] = []
    let isText = try scanner.string(into: &bytes)
    let shard = String(decoding: bytes, as: UTF8.self)
    guard isText, isPlain(shard) else {
      throw CheckpointError(path, "\(tensor): shard \(quoted(shard)) is not the name of a file in this folder")
    }
    return shard
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
      guard isThere(url.path) else {
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
