import CheckedInput
import Foundation
import LanguageModel

/// How a model's text is meant to be chosen: the content of `generation_config.json`.
public struct GenerationConfiguration: Encodable, Hashable, Sendable {
  /// Tokens that end a text, besides those of `config.json`.
  public var endOfTextTokens: [Int] = []
  /// Whether tokens are drawn; false for always the most probable one, nil where the file does not say.
  public var isSampling: Bool?
  /// The options of the file, nil where it does not say.
  public var options = SamplingOverrides()

  /// What is wrong with the values that the file has under some keys, each in a sentence that names both. They stop
  /// those alone who need the value.
  private var faults: [CodingKeys: String] = [:]
  /// Why nothing can be read of the file.
  private var failure: String?

  /// What the file is called.
  public static let fileName = "generation_config.json"

  /// Nothing but the tokens that end a text.
  public init(endOfTextTokens: [Int] = []) { self.endOfTextTokens = endOfTextTokens }

  /// The names in the file.
  public enum CodingKeys: String, CodingKey, CaseIterable, Sendable {
    case endOfTextTokens = "eos_token_id"
    case isSampling = "do_sample"
    case repetitionPenalty = "repetition_penalty"
    case temperature
    case topK = "top_k"
    case topP = "top_p"
    case minP = "min_p"
  }

  /// Writes what is there.
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

  /// The configuration that a model folder has; an empty one where it has none.
  ///
  /// A value that means nothing is an error where it is needed, in ``sampling(_:)`` and ``requireEndOfText()``.
  public init(folder: URL) {
    let file = folder.appending(path: Self.fileName)
    guard isThere(file.path) else { return }
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
    endOfTextTokens = read(.endOfTextTokens, as: OneOrMany.self)?.values ?? []
    if let token = endOfTextTokens.first(where: { $0 < 0 }) {
      faults[.endOfTextTokens] =
        "\(name): \(CodingKeys.endOfTextTokens.rawValue) is \(token): expected the id of a token, at least 0"
    }
  }

  /// The options that these defaults make of the model's own distribution, behind those that go before them.
  ///
  /// - Throws: `GenerationError` naming the file and the key, if a value means nothing and no other goes before it.
  public func sampling(_ overrides: SamplingOverrides = .init()) throws -> SamplingOptions {
    if let failure { throw GenerationError(failure) }
    if overrides.temperature == nil, let fault = faults[.isSampling] { throw GenerationError(fault) }
    for option in SamplingOption.allCases where !overrides.has(option) {
      // Where nothing is drawn it need not be known from what.
      if option == .temperature, isSampling == false { continue }
      if let key = CodingKeys(rawValue: option.rawValue), let fault = faults[key] { throw GenerationError(fault) }
    }
    var defaults = options.applied(to: .init())
    if isSampling == false { defaults.temperature = 0 }
    return overrides.applied(to: defaults)
  }

  /// Fails if the file does not say properly which tokens end a text.
  ///
  /// - Throws: `GenerationError` naming the file and the key.
  func requireEndOfText() throws {
    if let fault = failure ?? faults[.endOfTextTokens] { throw GenerationError(fault) }
  }
}
