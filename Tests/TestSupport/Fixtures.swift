import CheckedInput
import Checkpoint
import Foundation
import LanguageModel
import Torch

/// The model folders that lie beside the tests, with the outputs that a reference gave on the same weights.
public enum Fixtures {
  /// `Tests/Fixtures`.
  public static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")

  /// Every model folder by its path below `folder`, as in "models/plain".
  public static let models = ["models", "huggingface"].flatMap { kind in
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url(kind).path)) ?? []
    return names.sorted().map { "\(kind)/\($0)" }
  }

  /// Where the fixture of this name lies.
  public static func url(_ name: String) -> URL { folder.appending(path: name) }

  /// The configuration of a model folder.
  public static func configuration(_ name: String) throws -> ModelConfiguration {
    try ValueDecoder(name).decode(
      ModelConfiguration.self, from: JSONValue(parsing: ModelFolder(url(name)).configurationData(), file: name))
  }

  /// The weights of a model folder by name.
  public static func tensors(_ name: String) throws -> [String: Tensor] {
    try configuration(name).weights(in: ModelFolder(url(name)))
  }
}
