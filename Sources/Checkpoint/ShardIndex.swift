import Foundation
import WidebandCheckedInput
import WidebandTorch

/// Which shard of a model folder holds which tensor: the content of `model.safetensors.index.json`.
///
/// `metadata.total_size` is not checked against the shards: no other reader does, and writers count different things in
/// it, such as tied weights or file headers. Each tensor's size is checked by the header of its shard.
struct ShardIndex {
  /// The file name of a shard by the name of each of its tensors.
  let shards: [String: String]

  /// The name of the index file.
  static let fileName = "model.safetensors.index.json"

  init(shards: [String: String]) { self.shards = shards }

  /// The maximum size of an index, enough for hundreds of thousands of tensors.
  private static let maximumBytes = 100_000_000

  /// Reads the index at `url`.
  ///
  /// - Throws: `CheckpointError` if it is not an index or names a shard outside its folder.
  init(_ url: URL) throws {
    let file = try MappedFile(url.path)
    do {
      shards = try file.withBytes { bytes in
        guard bytes.count <= Self.maximumBytes else {
          throw CheckpointError.malformed(url.path, "has \(bytes.count) bytes: expected at most \(Self.maximumBytes)")
        }
        return try bytes.withMemoryRebound(to: UInt8.self) {
          var scanner = JSONScanner($0, file: printable(path: url.path))
          return try Self.shards(&scanner, url.path)
        }
      }
    } catch let error as InputError { throw CheckpointError.malformed(path: url.path, sentence: error.description) }
  }

  private static func shards(_ scanner: inout JSONScanner, _ path: String) throws -> [String: String] {
    var shards: [String: String]?
    try scanner.object("the index", in: path) { scanner, key in
      guard key.elementsEqual("weight_map".utf8) else { return try scanner.skip() }
      var map: [String: String] = [:]
      try scanner.object("weight_map", in: path) { scanner, name in
        let name = String(decoding: name, as: UTF8.self)
        map[name] = try shard(of: name, &scanner, path)
      }
      shards = map
    }
    try scanner.end()
    guard let shards else { throw CheckpointError.malformed(path, "has no weight_map") }
    return shards
  }

  private static func shard(of name: String, _ scanner: inout JSONScanner, _ path: String) throws -> String {
    let tensor = "tensor \(quoted(name))"
    let (bytes, isText) = try scanner.string("the shard of \(tensor)", in: path)
    let shard = String(decoding: bytes, as: UTF8.self)
    guard isText, isPlain(shard) else {
      throw CheckpointError.malformed(
        path, "\(tensor): shard \(quoted(shard)) is not the name of a file in this folder")
    }
    return shard
  }

  /// Reads all tensors, each from the shard that the index names.
  ///
  /// - Throws: `CheckpointError` if the index and the shards in `folder` disagree in any way.
  func readTensors(in folder: URL) throws -> [String: Tensor] {
    let index = folder.appending(path: Self.fileName).path
    var tensors: [String: Tensor] = [:]
    var origins: [String: String] = [:]
    for shard in Set(shards.values).sorted() {
      let url = folder.appending(path: shard)
      guard exists(url.path) else {
        throw CheckpointError.mismatch(index, "names the shard \(quoted(shard)), which is missing from the folder")
      }
      for (name, tensor) in try SafetensorsFile(url).tensors() {
        if let other = origins.updateValue(shard, forKey: name) {
          throw CheckpointError.mismatch(url.path, "tensor \(quoted(name)) is in the shard \(quoted(other)) as well")
        }
        guard shards[name] != nil else {
          throw CheckpointError.mismatch(url.path, "tensor \(quoted(name)) is absent from \(Self.fileName)")
        }
        tensors[name] = tensor
      }
    }
    for (name, shard) in shards.sorted(by: { $0.key < $1.key }) where origins[name] != shard {
      throw CheckpointError.mismatch(index, "puts tensor \(quoted(name)) in the shard \(quoted(shard)), which lacks it")
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
    let document = Document(metadata: ["total_size": totalBytes], weightMap: shards)
    return try JSONEncoder.indented.encode(document) + Data("\n".utf8)
  }

  /// Whether `name` is the plain name of a file, without folders.
  static func isPlain(_ name: String) -> Bool {
    !["", ".", ".."].contains(name) && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
  }
}
