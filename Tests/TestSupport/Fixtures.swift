import Foundation
import WidebandCheckedInput
import WidebandCheckpoint
import WidebandLanguageModel
import WidebandTorch

/// The files in `Tests/Fixtures`, such as model folders with a reference's outputs on the same weights.
public enum Fixtures {
  /// `Tests/Fixtures`.
  public static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")

  /// Every model folder by its path below `folder`, as in "models/plain".
  public static let models = ["models", "huggingface"].flatMap { kind in
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url(kind).path)) ?? []
    return names.sorted().map { "\(kind)/\($0)" }
  }

  /// The URL of a fixture.
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
