import Checkpoint
import Foundation
import Torch

extension ModelConfiguration {
  /// The weights in a model folder, mapped into memory, under the names of `LanguageModel` and without a second copy of a
  /// tied head.
  ///
  /// - Throws: `CheckpointError` if there are none, a file does not describe what is there, or this configuration is
  ///   tied while the folder has a head of its own.
  public func weights(in folder: ModelFolder) throws -> [String: Tensor] {
    var tensors = try WeightNames.standard(folder.readTensors())
    guard isHeadTied else { return tensors }
    // Whether all of the head is the table is known since `untieHead`; this is for configurations from elsewhere.
    guard try !Self.hasOwnHead(tensors, rows: 64) else {
      throw CheckpointError(
        folder.url.path, "tie_word_embeddings is true, but 'lm_head.weight' is not the table: expected false")
    }
    for (table, head) in Self.tied {
      // Some files keep the one matrix under the name of the head alone.
      if tensors[table] == nil { tensors[table] = tensors[head] }
      tensors[head] = nil
    }
    return tensors
  }

  /// Makes the head one of its own if the folder has a head that is not the embedding table, whatever its `config.json`
  /// says: as in transformers, what was saved decides.
  ///
  /// - Throws: `CheckpointError` if there are weights and a file does not describe what is there.
  public mutating func untieHead(of folder: ModelFolder) throws {
    guard isHeadTied, folder.hasWeights else { return }
    if try Self.hasOwnHead(WeightNames.standard(folder.readTensors())) { isHeadTied = false }
  }

  private static let tied = [
    ("model.embed_tokens.weight", "lm_head.weight"), ("model.embed_tokens.weight_scale", "lm_head.weight_scale"),
  ]

  /// Whether table and head are both there and differ, in their first rows or in any.
  private static func hasOwnHead(_ tensors: [String: Tensor], rows: Int = .max) throws -> Bool {
    try tied.contains { table, head in
      guard var table = tensors[table], var head = tensors[head] else { return false }
      guard table.shape == head.shape, table.rank == 2 else { return true }
      if rows < table.size(0) {
        (table, head) = try withTorch { (table.slice(0, 0..<rows), head.slice(0, 0..<rows)) }
      }
      guard table.dtype == head.dtype else {
        return try withTorch { try !table.to(.float32).isIdentical(to: head.to(.float32)) }
      }
      return try !table.isIdentical(to: head)
    }
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
