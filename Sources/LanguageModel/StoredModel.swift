import CheckedInput
import Checkpoint
import Foundation
import Torch

/// The weights that a model folder stands for: its own, or those of another folder with low-rank adapters beside them.
///
/// A folder of adapters is as peft writes it, `adapter_config.json` and `adapter_model.safetensors`. What else it lacks
/// of a model folder is taken from that of the model.
public struct StoredModel {
  /// The folder.
  public let folder: ModelFolder
  /// The folder that has the weights.
  public let base: ModelFolder
  /// What is said of adapters; nil where there are none.
  public let adapter: AdapterConfiguration?

  /// What adapters are in.
  public static let adapterFileName = "adapter_model.safetensors"
  private static let prefix = "base_model.model."
  private static let fingerprintKey = "base"

  /// The model of a folder.
  ///
  /// - Parameter known: the folder of the model, where it is not the one that adapters name.
  /// - Throws: `CheckpointError` if what is said of adapters cannot be followed, or there is no model for them.
  public init(_ folder: ModelFolder, base known: ModelFolder? = nil) throws {
    self.folder = folder
    let file = folder.url.appending(path: AdapterConfiguration.fileName)
    guard isThere(file.path) else {
      (base, adapter) = (folder, nil)
      return
    }
    let adapter = try AdapterConfiguration(file)
    self.adapter = adapter
    base = try known ?? Self.base(adapter.base, of: file)
  }

  /// The folder that a file of adapters names: from where the command runs, as for peft, or else from that file's folder.
  private static func base(_ path: String, of file: URL) throws -> ModelFolder {
    for url in [fileURL(path), fileURL(path, relativeTo: file.deletingLastPathComponent())] {
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue {
        return ModelFolder(url.absoluteURL)
      }
    }
    throw CheckpointError(
      file.path,
      "base_model_name_or_path is \(quoted(path)): expected the folder of the model that the adapters are for")
  }

  /// What says how the model is made, in a folder of adapters that has it: other tools take `config.json` as a sign of
  /// whole weights.
  public static let configurationName = "wideband_config.json"

  /// The file that says how the model is made: with adapters their folder's own where it has one, else the model's.
  public var configurationFile: URL {
    let own = folder.url.appending(path: Self.configurationName)
    return adapter != nil && isThere(own.path) ? own : file("config.json")
  }

  /// A file of the folder, or of the model's where that has none.
  public func file(_ name: String) -> URL {
    let own = folder.url.appending(path: name)
    return isThere(own.path) ? own : base.url.appending(path: name)
  }

  /// The weights, mapped into memory, without what adapters add.
  ///
  /// - Throws: `CheckpointError` if there are none, a file does not describe what is there, or they are not those that
  ///   the adapters were trained for.
  public func tensors(_ configuration: ModelConfiguration) throws -> [String: Tensor] {
    let tensors = try configuration.weights(in: base)
    guard adapter != nil, let expected = try adapterFile().metadata[Self.fingerprintKey] else { return tensors }
    guard try Self.fingerprint(of: tensors) == expected else {
      throw CheckpointError(
        folder.url.path, "the adapters are for other weights than those in \(base.url.path), which have changed since")
    }
    return tensors
  }

  /// The adapters, in `dtype` where they do not keep their own; nil where there are none.
  ///
  /// - Parameter base: what `tensors` gave. Adapters that began with a part of it have twice their rank, see
  ///   `AdapterConfiguration.Initialization`.
  public func adapters(
    beside base: [String: Tensor], dtype: DType? = nil, mutable: Bool = false, on device: Device = .cpu
  ) throws -> LowRankAdapters? {
    guard let adapter else { return nil }
    let file = try adapterFile()
    var weights: [String: Tensor] = [:]
    for (name, tensor) in try file.tensors() {
      guard name.hasPrefix(Self.prefix), Self.suffixes.contains(where: name.hasSuffix) else {
        throw CheckpointError(
          file.url.path,
          "tensor \(quoted(name)) is no part of an adapter: expected names as "
            + "\(Self.prefix)model.layers.0.self_attn.q_proj.lora_A.weight")
      }
      weights[String(name.dropFirst(Self.prefix.count))] = tensor
    }
    weights = WeightNames.withPrefix(weights)
    let modules = Set(
      weights.keys.flatMap { name in Self.suffixes.filter(name.hasSuffix).map { String(name.dropLast($0.count)) } })
    for module in modules.sorted() where base["\(module).weight"] != nil {
      guard let objection = adapter.objection(to: module) else { continue }
      throw CheckpointError(
        file.url.path,
        "has an adapter of module \(quoted(module)), but in \(AdapterConfiguration.fileName) \(objection)")
    }
    if let initialization = adapter.initialization {
      for module in modules.sorted() {
        let names = Self.suffixes.map { module + $0 }
        guard let down = weights[names[0]], let up = weights[names[1]], let weight = base["\(module).weight"] else {
          continue
        }
        do {
          (weights[names[0]], weights[names[1]]) = try initialization.adapters(
            down: down, up: up, beside: weight, adapter)
        } catch { throw CheckpointError(file.url.path, "module \(quoted(module)): \(error)") }
      }
    }
    return LowRankAdapters(
      rank: adapter.initialization == nil ? adapter.rank : 2 * adapter.rank, scale: adapter.scale,
      weights: WeightStore(stored: weights, dtype: dtype, mutable: mutable, on: device), adapts: modules.contains)
  }

  private static let suffixes = [".lora_A.weight", ".lora_B.weight"]

  private func adapterFile() throws -> SafetensorsFile {
    try SafetensorsFile(folder.url.appending(path: Self.adapterFileName))
  }

  /// Fails if the folder has adapters in place of weights.
  public func requireWhole() throws {
    guard adapter != nil else { return }
    throw CheckpointError(
      folder.url.path, "holds adapters for \(base.url.path): expected a whole model, which `wideband convert` makes")
  }

  /// Writes a folder's two files of adapters.
  ///
  /// - Parameter fingerprint: that of the weights which they are for.
  public static func write(
    _ adapters: LowRankAdapters, _ configuration: AdapterConfiguration, fingerprint: String, into folder: URL
  ) throws {
    try Safetensors.write(
      adapters.weights.tensors.map { (name: prefix + $0.key, tensor: $0.value) },
      metadata: ["format": "pt", fingerprintKey: fingerprint], to: folder.appending(path: adapterFileName))
    try AtomicFile.write(configuration.json(), to: folder.appending(path: AdapterConfiguration.fileName))
  }

  /// A text that two sets of weights share only if they are the same, whatever types they are kept in: of the name, the
  /// shape and a few hundred values of each.
  public static func fingerprint(of tensors: [String: Tensor]) throws -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ bytes: some Sequence<UInt8>) {
      for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      add("\(name)\(tensor.shape)".utf8)
      let (count, window) = (tensor.count, 128)
      let starts = Set([0, max(0, count / 2), max(0, count - window)]).sorted()
      let values = try withTorch {
        let flat = tensor.flattened()
        return try starts.flatMap {
          try flat.slice(0, $0..<min(count, $0 + window)).to(.float32).elements(Float.self)
        }
      }
      for value in values { withUnsafeBytes(of: value.bitPattern.littleEndian) { add($0) } }
    }
    return String(hash, radix: 16)
  }
}

extension ModelConfiguration {
  /// The weights in a folder that has no adapters.
  ///
  /// - Throws: `CheckpointError` if it has, if there are none, or if a file does not describe what is there.
  public func wholeWeights(in folder: String) throws -> [String: Tensor] {
    let stored = try StoredModel(ModelFolder(fileURL(folder)))
    try stored.requireWhole()
    return try stored.tensors(self)
  }
}
