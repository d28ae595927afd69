import Foundation
import WidebandCheckedInput
import WidebandLanguageModel

/// A model's default options of generation: the content of `generation_config.json`.
public struct GenerationConfiguration: Encodable, Hashable, Sendable {
  /// Tokens that end a text, in addition to those of `config.json`.
  public var endOfTextTokens: [TokenID] = []
  /// Whether tokens are sampled; false for greedy decoding, nil where the file does not say.
  public var isSampling: Bool?
  /// The options of the file, nil where it does not say.
  public var options = SamplingOverrides()

  /// Invalid values by their key, each with a sentence that names both. They are errors only where the value is needed.
  private var faults: [CodingKeys: String] = [:]
  /// Why the file cannot be read.
  private var failure: String?

  /// The name of the file.
  public static let fileName = "generation_config.json"

  /// Tokens that end a text, and no other defaults.
  public init(endOfTextTokens: [TokenID] = []) { self.endOfTextTokens = endOfTextTokens }

  /// The keys of the file.
  public enum CodingKeys: String, CodingKey, CaseIterable, Sendable {
    case endOfTextTokens = "eos_token_id"
    case isSampling = "do_sample"
    case repetitionPenalty = "repetition_penalty"
    case temperature
    case topK = "top_k"
    case topP = "top_p"
    case minP = "min_p"
  }

  /// Encodes the values that are set.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    if !endOfTextTokens.isEmpty { try values.encode(OneOrMany(values: endOfTextTokens), forKey: .endOfTextTokens) }
    try values.encodeIfPresent(isSampling, forKey: .isSampling)
    try values.encodeIfPresent(options.temperature, forKey: .temperature)
    try values.encodeIfPresent(options.topK, forKey: .topK)
    try values.encodeIfPresent(options.topP, forKey: .topP)
    try values.encodeIfPresent(options.minP, forKey: .minP)
    try values.encodeIfPresent(options.repetitionPenalty, forKey: .repetitionPenalty)
  }

  /// The configuration in a model folder; an empty one where it has none.
  ///
  /// An invalid value is an error where it is needed, in ``sampling(_:)`` and ``requireEndOfText()``.
  public init(folder: URL) {
    let file = folder.appending(path: Self.fileName)
    guard exists(file.path) else { return }
    let name = printable(path: file.path)
    do {
      let tree = try JSONValue(contentsOf: file, limit: 1 << 20)
      guard case .object(let members) = tree else {
        failure = "\(name): the document is \(tree.summary): expected an object"
        return
      }
      read(members, of: name)
    } catch { failure = "\(error)" }
  }

  private mutating func read(_ members: JSONObject, of name: String) {
    func read<Value: Decodable>(_ key: CodingKeys, as type: Value.Type) -> Value? {
      guard let value = members[key.rawValue], value != .null else { return nil }
      var member = JSONObject()
      member[key.rawValue] = value
      do { return try ValueDecoder(name).decode([String: Value].self, from: .object(member))[key.rawValue] } catch {
        faults[key] = "\(error)"
        return nil
      }
    }
    isSampling = read(.isSampling, as: Bool.self)
    options.repetitionPenalty = read(.repetitionPenalty, as: Double.self)
    options.temperature = read(.temperature, as: Double.self)
    options.topK = read(.topK, as: Int.self)
    options.topP = read(.topP, as: Double.self)
    options.minP = read(.minP, as: Double.self)
    for option in SamplingOption.allCases {
      guard let key = CodingKeys(rawValue: option.rawValue), let fault = options.applied(to: .init()).fault(of: option)
      else { continue }
      faults[key] = "\(name): \(option.rawValue) \(fault)"
    }
    let endOfText = read(.endOfTextTokens, as: OneOrMany<Int>.self)?.values ?? []
    if let id = endOfText.first(where: { $0 < 0 }) {
      faults[.endOfTextTokens] =
        "\(name): \(CodingKeys.endOfTextTokens.rawValue) is \(id): expected the id of a token, at least 0"
    }
    // An id too large for the type is in no vocabulary and ends no text.
    endOfTextTokens = endOfText.compactMap(TokenID.init(exactly:))
  }

  /// The sampling options: the overrides, then the file's values, then the model's own distribution.
  ///
  /// - Throws: `GenerationError` naming the file and the key, if a value is invalid and not overridden.
  public func sampling(_ overrides: SamplingOverrides = .init()) throws -> SamplingOptions {
    if let failure { throw GenerationError.invalidFile(failure) }
    if overrides.temperature == nil, let fault = faults[.isSampling] { throw GenerationError.invalidFile(fault) }
    for option in SamplingOption.allCases where !overrides.has(option) {
      // Greedy decoding needs no temperature.
      if option == .temperature, isSampling == false { continue }
      if let key = CodingKeys(rawValue: option.rawValue), let fault = faults[key] {
        throw GenerationError.invalidFile(fault)
      }
    }
    var defaults = options.applied(to: .init())
    if isSampling == false { defaults.temperature = 0 }
    return overrides.applied(to: defaults)
  }

  /// Checks the tokens that end a text.
  ///
  /// - Throws: `GenerationError` naming the file and the key.
  func requireEndOfText() throws {
    if let fault = failure ?? faults[.endOfTextTokens] { throw GenerationError.invalidFile(fault) }
  }
}
