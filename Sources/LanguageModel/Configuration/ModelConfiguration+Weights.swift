import Foundation
import WidebandCheckpoint
import WidebandTorch

extension ModelConfiguration {
  /// The weights of a model folder, mapped into memory, under the names of `LanguageModel`. A tied head is not
  /// duplicated.
  ///
  /// - Throws: `CheckpointError` if the folder has no weights or a malformed file, or this configuration ties the head
  ///   to the embedding table while the folder has another head.
  public func weights(in folder: ModelFolder) throws -> [String: Tensor] {
    var tensors = try WeightNames.standard(folder.readTensors())
    guard isHeadTied else { return tensors }
    // `untieHead` has compared all rows; this check is for configurations that it was not called on.
    guard try !Self.hasOwnHead(tensors, rows: 64) else {
      throw CheckpointError.mismatch(
        folder.url.path, "tie_word_embeddings is true, but 'lm_head.weight' is not the table: expected false")
    }
    for (table, head) in Self.tied {
      // Some files store the shared matrix under the name of the head alone.
      if tensors[table] == nil { tensors[table] = tensors[head] }
      tensors[head] = nil
    }
    return tensors
  }

  /// Sets `isHeadTied` to false if the folder's weights contain a head that differs from the embedding table: as in
  /// transformers, the weights decide and not `config.json`.
  ///
  /// - Throws: `CheckpointError` for a malformed file of weights.
  public mutating func untieHead(of folder: ModelFolder) throws {
    guard isHeadTied, folder.hasWeights else { return }
    if try Self.hasOwnHead(WeightNames.standard(folder.readTensors())) { isHeadTied = false }
  }

  private static let tied = [
    ("model.embed_tokens.weight", "lm_head.weight"), ("model.embed_tokens.weight_scale", "lm_head.weight_scale"),
  ]

  /// Whether both the table and the head exist and differ in their first `rows` rows.
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
  /// - Parameter dtype: the dtype of the weights in the folder, for tools that load them in the dtype that the file
  ///   names; nil to omit it.
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
