import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandData
import WidebandDistributed
import WidebandLanguageModel
import WidebandTorch

/// The optimizer's moments in a checkpoint of several processes: a file of each process's shard, and `optimizer.json`
/// with the sizes and checksums of these files and of the weights, which is written last.
struct ShardedMoments: Codable {
  /// The number of floats of a bucket of the array of all weights, of which each process has an equal part.
  var bucketSize: Int
  /// The number of floats of the array of all weights.
  var count: Int
  /// The files, by rank.
  var files: [File]
  /// The file of the weights or adapters; nil in checkpoints of earlier versions.
  var weights: File?

  /// A file.
  struct File: Codable, Equatable {
    var name: String
    var bytes: Int
    /// The CRC-32 of its content.
    var checksum: String
  }

  /// The name of the file with the others' names.
  static let manifestName = "optimizer.json"

  /// Writes the file of this process into a folder that all of the group can write, and the manifest by the first.
  ///
  /// - Throws: the error of any process, on all of them.
  static func write(_ optimizer: AdamW, _ group: ProcessGroup, into folder: URL) throws {
    let name = String(format: "optimizer-%05d-of-%05d.safetensors", group.rank, group.size)
    let url = folder.appending(path: name)
    let own = try group.together {
      try Safetensors.write(Array(zip(AdamW.kinds, optimizer.momentArrays)).map { (name: $0, tensor: $1) }, to: url)
      return try File(contentsOf: url)
    }
    let files = try group.allGather(String(decoding: JSONEncoder().encode(own), as: UTF8.self)).map {
      try ValueDecoder("a file of a shard").decode(
        File.self, from: JSONValue(parsing: $0.utf8, file: "a file of a shard"))
    }
    try group.together {
      guard group.rank == 0 else { return }
      let weights = [ModelSource.adapterFileName, TrainingCheckpoint.weightsName].map { folder.appending(path: $0) }
      let manifest = ShardedMoments(
        bucketSize: ShardLayout.bucketSize, count: optimizer.layout.count, files: files,
        weights: try weights.first { exists($0.path) }.map(File.init(contentsOf:)))
      try AtomicFile.write(try JSONEncoder.indented.encode(manifest), to: folder.appending(path: manifestName))
    }
  }

  /// What the moments of several processes are in; nil for a checkpoint of one.
  static func manifest(_ folder: URL) throws -> ShardedMoments? {
    let url = folder.appending(path: manifestName)
    guard exists(url.path) else { return nil }
    return try ValueDecoder(printable(url.path)).decode(
      ShardedMoments.self, from: JSONValue(contentsOf: url, limit: 1 << 24))
  }

  /// The moments of a checkpoint's folder; nil if it has none of several processes.
  ///
  /// - Throws: `InputError` for a manifest or a file that is not what was written.
  static func read(_ folder: URL) throws -> StoredMoments? {
    guard let manifest = try manifest(folder) else { return nil }
    let name = printable(folder.appending(path: manifestName).path)
    // Both moments of a float are eight bytes.
    let floats = manifest.files.reduce(0) { $0 + max(0, min($1.bytes, 1 << 50)) / 8 }
    guard (ShardLayout.piece...1 << 40).contains(manifest.bucketSize), (1...max(1, floats)).contains(manifest.count)
    else {
      throw InputError(
        "\(name): \(manifest.files.count) files with the moments of \(manifest.count) floats in buckets of "
          + "\(manifest.bucketSize): expected files of as many floats")
    }
    try manifest.weights?.check(in: folder)
    let layout = ShardLayout(
      count: manifest.count, processes: manifest.files.count, bucketSize: manifest.bucketSize)
    return .shards(
      of: manifest.count,
      try manifest.files.enumerated().map { rank, file in
        let (url, shard) = (folder.appending(path: file.name), layout.shard(of: rank))
        try file.check(in: folder)
        let tensors = try SafetensorsFile(url).tensors()
        let arrays = try AdamW.kinds.map { kind -> Tensor in
          guard let tensor = tensors[kind], tensor.shape == [shard.count] else {
            throw InputError("\(printable(url.path)): expected \(kind) of \(shard.count) floats")
          }
          return tensor
        }
        return (shard, arrays)
      })
  }
}

extension ShardedMoments.File {
  init(contentsOf url: URL) throws {
    let file = try openRegularFile(url.path)
    defer { try? file.close() }
    var sum = Checksum()
    var count = 0
    while let part = try file.read(upToCount: 1 << 22), !part.isEmpty {
      part.withUnsafeBytes { sum.add($0) }
      count += part.count
    }
    self.init(name: url.lastPathComponent, bytes: count, checksum: String(format: "%08x", sum.value))
  }

  /// - Throws: `InputError` if the file in the folder is another one.
  func check(in folder: URL) throws {
    let url = folder.appending(path: name)
    guard name == url.lastPathComponent, try Self(contentsOf: url) == self else {
      throw InputError(
        "\(printable(url.path)): is not the file of \(bytes) bytes and checksum \(printable(checksum)) that "
          + "\(ShardedMoments.manifestName) names")
    }
  }
}
