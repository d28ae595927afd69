import Checkpoint
import Foundation
import Torch

extension ModelConfiguration {
  /// The weights in a model folder, mapped into memory, without a second copy of a tied head.
  ///
  /// Some files of tied models hold the table again as `lm_head.weight`. The configuration decides: it is not read.
  ///
  /// - Throws: `CheckpointError` if there are none, or a file does not describe what is there.
  public func weights(in folder: ModelFolder) throws -> [String: Tensor] {
    var tensors = try folder.readTensors()
    if isHeadTied { for name in ["lm_head.weight", "lm_head.weight_scale"] { tensors[name] = nil } }
    return tensors
  }

  /// The content of `config.json`.
  ///
  /// - Parameter dtype: the type of the weights beside it, for tools that load them in the type that is written here;
  ///   nil leaves it out.
  public func json(dtype: DType? = nil) throws -> Data {
    struct Document: Encodable {
      let configuration: ModelConfiguration
      let dtype: DType?

      func encode(to encoder: any Encoder) throws {
        try configuration.encode(to: encoder)
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encodeIfPresent(dtype.map { "\($0)" }, forKey: .olderDType)
      }
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(Document(configuration: self, dtype: dtype)) + Data("\n".utf8)
  }
}
