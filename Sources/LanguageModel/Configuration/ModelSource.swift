import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandTorch

/// The files of a model: those of a model folder, or those of a folder of LoRA adapters and of the model folder that
/// the adapters name.
///
/// A folder of adapters is as peft writes it: `adapter_config.json` and `adapter_model.safetensors`. Files that it
/// lacks are read from the model folder.
public struct ModelSource {
  /// The model folder or folder of adapters.
  public let folder: ModelFolder
  /// The model folder that contains the weights.
  public let base: ModelFolder
  /// The configuration of the adapters; nil without adapters.
  public let adapter: AdapterConfiguration?

  /// The name of the file of adapters.
  public static let adapterFileName = "adapter_model.safetensors"
  private static let prefix = "base_model.model."
  private static let fingerprintKey = "base"

  /// The model in a folder.
  ///
  /// - Parameters:
  ///   - folder: a model folder or a folder of adapters.
  ///   - known: the model folder to use in place of the one that the adapters name.
  /// - Throws: `CheckpointError` if the adapters are not supported or their model folder does not exist.
  public init(_ folder: ModelFolder, base known: ModelFolder? = nil) throws {
    self.folder = folder
    let file = folder.url.appending(path: AdapterConfiguration.fileName)
    guard exists(file.path) else {
      (base, adapter) = (folder, nil)
      return
    }
    let adapter = try AdapterConfiguration(file)
    self.adapter = adapter
    base = try known ?? Self.base(adapter.base, of: file)
  }

  /// The model folder that the configuration of adapters names: relative to the working directory, as in peft, or else
  /// to the configuration's folder.
  private static func base(_ path: String, of file: URL) throws -> ModelFolder {
    for url in [fileURL(path), fileURL(path, relativeTo: file.deletingLastPathComponent())] {
      if isFolder(url.path) { return ModelFolder(url.absoluteURL) }
    }
    throw CheckpointError.mismatch(
      file.path,
      "base_model_name_or_path is \(quoted(path)): expected the folder of the model that the adapters are for")
  }

  /// The name of the model configuration in a folder of adapters. Other tools would take a `config.json` for a sign
  /// that the folder contains a whole model.
  public static let configurationName = "wideband_config.json"

  /// The model configuration: the one in the folder of adapters, if it exists, else the model folder's `config.json`.
  public var configurationFile: URL {
    let own = folder.url.appending(path: Self.configurationName)
    return adapter != nil && exists(own.path) ? own : file("config.json")
  }

  /// A file of the folder, or of the model folder if that does not exist.
  public func file(_ name: String) -> URL {
    let own = folder.url.appending(path: name)
    return exists(own.path) ? own : base.url.appending(path: name)
  }

  /// The weights of the model folder, mapped into memory, without adapters.
  ///
  /// - Throws: `CheckpointError` if the folder has no weights or a malformed file, or its weights are not those that
  ///   the adapters were trained on.
  public func tensors(_ configuration: ModelConfiguration) throws -> [String: Tensor] {
    let tensors = try configuration.weights(in: base)
    guard adapter != nil, let expected = try adapterFile().metadata[Self.fingerprintKey] else { return tensors }
    guard try Self.fingerprint(of: tensors) == expected else {
      throw CheckpointError.mismatch(
        folder.url.path, "the adapters are for other weights than those in \(base.url.path), which have changed since")
    }
    return tensors
  }

  /// The adapters; nil without adapters. If their initialization changed the weights, their rank is doubled, see
  /// `AdapterConfiguration.Initialization`.
  ///
  /// - Parameters:
  ///   - base: the weights, from `tensors`.
  ///   - dtype: the dtype to convert the adapters to; nil to leave it unchanged.
  ///   - mutable: whether the adapters will be written to.
  ///   - device: the device of the adapters.
  /// - Throws: `CheckpointError` if the file of adapters is malformed or does not fit the configuration or the weights.
  public func adapters(
    for base: [String: Tensor], dtype: DType? = nil, mutable: Bool = false, on device: Device = .cpu
  ) throws -> LowRankAdapters? {
    guard let adapter else { return nil }
    let file = try adapterFile()
    var weights: [String: Tensor] = [:]
    for (name, tensor) in try file.tensors() {
      guard name.hasPrefix(Self.prefix), Self.suffixes.contains(where: name.hasSuffix) else {
        throw CheckpointError.malformed(
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
      guard let conflict = adapter.conflict(withAdapterOf: module) else { continue }
      throw CheckpointError.malformed(
        file.url.path,
        "has an adapter of module \(quoted(module)), but in \(AdapterConfiguration.fileName) \(conflict)")
    }
    if let initialization = adapter.initialization {
      for module in modules.sorted() {
        let names = Self.suffixes.map { module + $0 }
        guard let down = weights[names[0]], let up = weights[names[1]], let weight = base["\(module).weight"] else {
          continue
        }
        do {
          (weights[names[0]], weights[names[1]]) = try initialization.adapterOfUnchangedWeight(
            weight, down: down, up: up, adapter)
        } catch { throw CheckpointError.mismatch(file.url.path, "module \(quoted(module)): \(error)") }
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

  /// Checks that the folder is a model folder.
  ///
  /// - Throws: `CheckpointError` for a folder of adapters.
  public func requireWhole() throws {
    guard adapter != nil else { return }
    throw CheckpointError.mismatch(
      folder.url.path, "holds adapters for \(base.url.path): expected a whole model, which `wideband convert` makes")
  }

  /// Writes the two files of a folder of adapters.
  ///
  /// - Parameter fingerprint: the fingerprint of the weights that the adapters were trained on.
  /// - Throws: `CheckpointError` if a file cannot be written.
  public static func write(
    _ adapters: LowRankAdapters, _ configuration: AdapterConfiguration, fingerprint: String, into folder: URL
  ) throws {
    try Safetensors.write(
      adapters.weights.tensors.map { (name: prefix + $0.key, tensor: $0.value) },
      metadata: ["format": "pt", fingerprintKey: fingerprint], to: folder.appending(path: adapterFileName))
    try AtomicFile.write(configuration.json(), to: folder.appending(path: AdapterConfiguration.fileName))
  }

  /// A hash of the name, the shape and a few hundred values of every tensor, in hexadecimal. It does not depend on
  /// dtypes.
  ///
  /// - Throws: the first error of an operator.
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
  /// The weights of the model folder at a path, see `weights(in:)`.
  ///
  /// - Throws: `CheckpointError` for a folder of adapters; as `weights(in:)`.
  public func wholeWeights(in folder: String) throws -> [String: Tensor] {
    let source = try ModelSource(ModelFolder(fileURL(folder)))
    try source.requireWhole()
    return try source.tensors(self)
  }
}
