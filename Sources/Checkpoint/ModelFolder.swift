import Foundation
import WidebandCheckedInput
import WidebandTorch

/// A model folder in Hugging Face's layout: `config.json`, weights in `model.safetensors` or in shards with
/// `model.safetensors.index.json`, and small files such as the tokenizer's.
///
///     let folder = ModelFolder(url)
///     let weights = WeightStore(stored: try folder.readTensors(), mutable: false)
public struct ModelFolder: Sendable {
  /// Where the folder is.
  public let url: URL

  private static let configurationName = "config.json"
  private static let maximumConfigurationBytes = 64 << 20
  private static let weightsName = "model.safetensors"

  /// A model folder at `url`, which need not exist yet.
  public init(_ url: URL) { self.url = url.standardizedFileURL }

  /// The bytes of `config.json`.
  ///
  /// - Throws: `CheckpointError` if the folder or the file is missing.
  public func configurationData() throws -> Data {
    try requireFolder()
    let configuration = url.appending(path: Self.configurationName)
    guard exists(configuration.path) else {
      throw CheckpointError.unreadable(configuration.path, "is missing from the model folder")
    }
    do { return try boundedContents(of: configuration, limit: Self.maximumConfigurationBytes) } catch {
      throw CheckpointError.unreadable(path: configuration.path, sentence: "\(error)")
    }
  }

  /// Whether the folder has weights, in one file or in shards.
  public var hasWeights: Bool {
    [Self.weightsName, ShardIndex.fileName].contains { exists(url.appending(path: $0).path) }
  }

  /// All weights by name, as views of the mapped files. They must not be written to.
  ///
  /// - Throws: `CheckpointError` if there are no weights, or if a header or the index contradicts the files.
  public func readTensors() throws -> [String: Tensor] {
    try requireFolder()
    let weights = url.appending(path: Self.weightsName)
    if exists(weights.path) { return try SafetensorsFile(weights).tensors() }
    let index = url.appending(path: ShardIndex.fileName)
    guard exists(index.path) else {
      throw CheckpointError.unreadable(url.path, "holds neither \(Self.weightsName) nor \(ShardIndex.fileName)")
    }
    return try ShardIndex(index).readTensors(in: url)
  }

  /// The default maximum size of a file of weights, in bytes.
  public static let defaultShardBytes = 5_000_000_000

  /// Writes the whole folder atomically; it must not exist yet, or be empty.
  ///
  /// - Parameters:
  ///   - configuration: the content of `config.json`.
  ///   - tensors: all weights with their names, in the order in which shards are filled.
  ///   - dtype: the type of floating-point tensors in the file; nil for their own.
  ///   - extraFiles: additional files by name, such as `tokenizer.json`.
  ///   - maximumShardBytes: the maximum size of a file of weights. A larger tensor gets a file of its own.
  /// - Throws: `CheckpointError` if a file cannot be written, the folder is not empty, or a weight is not finite in the
  ///   type that it is written in.
  public func write(
    configuration: Data, tensors: [(name: String, tensor: Tensor)], dtype: DType? = nil,
    extraFiles: [String: Data] = [:], maximumShardBytes: Int = ModelFolder.defaultShardBytes
  ) throws {
    try requireNew()
    let own = [Self.configurationName, Self.weightsName, ShardIndex.fileName]
    for name in extraFiles.keys.sorted() where own.contains(name) || !ShardIndex.isPlain(name) {
      throw CheckpointError.notWritable(
        url.path, "\(quoted(name)) cannot be the name of an extra file in a model folder")
    }
    try AtomicFolder.write(to: url) { folder in
      try writeWeights(tensors, dtype, maximumShardBytes, to: folder)
      try AtomicFile.write(configuration, to: folder.appending(path: Self.configurationName))
      for (name, data) in extraFiles { try AtomicFile.write(data, to: folder.appending(path: name)) }
    }
  }

  private func writeWeights(
    _ tensors: [(name: String, tensor: Tensor)], _ dtype: DType?, _ maximumShardBytes: Int, to folder: URL
  ) throws {
    let shards = Self.shards(tensors, dtype, maximumShardBytes)
    guard shards.count > 1 else {
      return try Safetensors.write(
        tensors, dtype: dtype, requiringFinite: true, to: folder.appending(path: Self.weightsName))
    }
    var index: [String: String] = [:]
    for (position, shard) in shards.enumerated() {
      let file = String(format: "model-%05ld-of-%05ld.safetensors", position + 1, shards.count)
      try Safetensors.write(shard, dtype: dtype, requiringFinite: true, to: folder.appending(path: file))
      for (name, _) in shard {
        guard index.updateValue(file, forKey: name) == nil else {
          throw CheckpointError.notWritable(folder.path, "the tensor name \(quoted(name)) is taken")
        }
      }
    }
    let totalBytes = tensors.reduce(0) { $0 + Self.byteCount($1.tensor, dtype) }
    try AtomicFile.write(
      ShardIndex(shards: index).encoded(totalBytes: totalBytes), to: folder.appending(path: ShardIndex.fileName))
  }

  /// The tensors in order; a new shard begins where the next tensor would not fit.
  private static func shards(
    _ tensors: [(name: String, tensor: Tensor)], _ dtype: DType?, _ maximumBytes: Int
  ) -> [[(name: String, tensor: Tensor)]] {
    var shards: [[(name: String, tensor: Tensor)]] = []
    var filled = 0
    for entry in tensors {
      let bytes = byteCount(entry.tensor, dtype)
      if shards.isEmpty || filled + bytes > maximumBytes {
        shards.append([])
        filled = 0
      }
      shards[shards.count - 1].append(entry)
      filled += bytes
    }
    return shards
  }

  private static func byteCount(_ tensor: Tensor, _ dtype: DType?) -> Int {
    tensor.count * Safetensors.stored(tensor, dtype).size
  }

  private func requireFolder() throws {
    let path = url.path
    if isFolder(path) { return }
    guard exists(path) else { throw CheckpointError.unreadable(path, "there is no such model folder") }
    guard access(path, F_OK) == 0 else {
      throw CheckpointError.unreadable(path, "cannot be examined", errno: errno)
    }
    throw CheckpointError.unreadable(path, "is a file: expected a model folder")
  }

  /// Fails unless a folder can be created here: the path must not exist, or be an empty folder.
  ///
  /// A folder that is not empty is never replaced, whatever it contains: it may be the only copy.
  ///
  /// - Throws: `CheckpointError` naming the path.
  public func requireNew() throws {
    guard exists(url.path) else { return }
    try requireFolder()
    let content: [String]
    do { content = try FileManager.default.contentsOfDirectory(atPath: url.path) } catch {
      throw CheckpointError.unreadable(url.path, "cannot be listed: \(reason(error))")
    }
    guard content.isEmpty else { throw CheckpointError.exists(url.path, AtomicFolder.occupied) }
  }
}
