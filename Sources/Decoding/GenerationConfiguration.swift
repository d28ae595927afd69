import CheckedInput
import Foundation
import LanguageModel

/// How a model's text is meant to be chosen: the content of `generation_config.json`.
public struct GenerationConfiguration: Codable, Hashable, Sendable {
  /// Tokens that end a text, besides those of `config.json`.
  public var endOfTextTokens: [Int] = []
  /// Whether tokens are drawn; false for always the most probable one, nil where the file does not say.
  public var isSampling: Bool?
  /// As in `SamplingOptions`, nil where the file does not say.
  public var temperature: Double?
  /// As in `SamplingOptions`, nil where the file does not say; 0 keeps all tokens.
  public var topK: Int?
  /// As in `SamplingOptions`, nil where the file does not say.
  public var topP: Double?
  /// As in `SamplingOptions`, nil where the file does not say.
  public var minP: Double?
  /// As in `SamplingOptions`, nil where the file does not say.
  public var repetitionPenalty: Double?

  /// What the file is called.
  public static let fileName = "generation_config.json"

  /// Nothing but the tokens that end a text.
  public init(endOfTextTokens: [Int] = []) { self.endOfTextTokens = endOfTextTokens }

  /// The names in the file.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case endOfTextTokens = "eos_token_id"
    case isSampling = "do_sample"
    case temperature
    case topK = "top_k"
    case topP = "top_p"
    case minP = "min_p"
    case repetitionPenalty = "repetition_penalty"
  }

  /// Reads the keys above; a file may have others beside them.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    endOfTextTokens = try values.decodeIfPresent(OneOrMany.self, forKey: .endOfTextTokens)?.values ?? []
    isSampling = try values.decodeIfPresent(Bool.self, forKey: .isSampling)
    temperature = try values.decodeIfPresent(Double.self, forKey: .temperature)
    topK = try values.decodeIfPresent(Int.self, forKey: .topK)
    topP = try values.decodeIfPresent(Double.self, forKey: .topP)
    minP = try values.decodeIfPresent(Double.self, forKey: .minP)
    repetitionPenalty = try values.decodeIfPresent(Double.self, forKey: .repetitionPenalty)
  }

  /// Writes what is there.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    if !endOfTextTokens.isEmpty { try values.encode(OneOrMany(values: endOfTextTokens), forKey: .endOfTextTokens) }
    try values.encodeIfPresent(isSampling, forKey: .isSampling)
    try values.encodeIfPresent(temperature, forKey: .temperature)
    try values.encodeIfPresent(topK, forKey: .topK)
    try values.encodeIfPresent(topP, forKey: .topP)
    try values.encodeIfPresent(minP, forKey: .minP)
    try values.encodeIfPresent(repetitionPenalty, forKey: .repetitionPenalty)
  }

  /// The configuration that a model folder has; an empty one where it has none.
  ///
  /// - Throws: `GenerationError` naming the file and the key, if a value means nothing.
  public init(folder: URL) throws {
    let file = folder.appending(path: Self.fileName)
    guard FileManager.default.fileExists(atPath: file.path) else {
      self.init()
      return
    }
    self = try decoded(Self.self, from: JSONValue(contentsOf: file), in: file)
    if let id = endOfTextTokens.first(where: { $0 < 0 }) {
      let name = printable(path: file.path)
      throw GenerationError("\(name): eos_token_id is \(id): expected the id of a token, at least 0")
    }
    do { try sampling.validate() } catch { throw GenerationError("\(printable(path: file.path)): \(error)") }
  }

  /// The options that these defaults make of the model's own distribution.
  public var sampling: SamplingOptions {
    var options = SamplingOptions()
    options.repetitionPenalty = repetitionPenalty ?? options.repetitionPenalty
    options.temperature = isSampling == false ? 0 : temperature ?? options.temperature
    options.topK = topK == 0 ? nil : topK
    options.topP = topP ?? options.topP
    options.minP = minP ?? options.minP
    return options
  }
}
