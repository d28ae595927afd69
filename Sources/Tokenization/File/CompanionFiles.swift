import Foundation
import WidebandCheckedInput

/// The added tokens and the chat template in the files next to a `tokenizer.json`, as Hugging Face's `AutoTokenizer`
/// reads them.
///
/// `tokenizer_config.json` lists tokens under `added_tokens_decoder`. Without that key, `added_tokens.json` and
/// `special_tokens_map.json` of older folders are read. Both also name special tokens, such as `eos_token`. A token
/// that `tokenizer.json` lacks gets its id in the merge model, else the next free id, in the order of the ids in these
/// files. A token that it has keeps its id and gets the flags of these files.
struct CompanionFiles {
  /// Tokens with the ids in the files.
  private var listed: [AddedToken] = []
  /// Whether `listed` overrides tokens of `tokenizer.json` with the same id; otherwise those have precedence.
  private var isComplete = false
  /// Special tokens that are named by a key such as `eos_token`.
  private var named: [AddedToken] = []
  /// Special tokens of a list without keys.
  private var extra: [AddedToken] = []
  /// The texts of the named special tokens by their keys.
  private(set) var namedTokens: [String: String] = [:]
  /// The chat template of `chat_template.jinja`, else of `tokenizer_config.json`; nil if there is none.
  private(set) var chatTemplate: ChatTemplate?

  /// The names of a tokenizer's files, `tokenizer.json` first.
  static let names = [
    "tokenizer.json", "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json", templateName,
  ]
  private static let templateName = "chat_template.jinja"

  private static let standardKeys = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  /// No files.
  init() {}

  /// Reads those of the files that exist in a folder.
  ///
  /// - Throws: `InputError` naming the file, the key and the value.
  init(in folder: URL) throws {
    func read(_ name: String) throws -> JSONNode? {
      let file = folder.appending(path: name)
      guard exists(file.path) else { return nil }
      let node = JSONNode(try JSONValue(contentsOf: file), file: file.path)
      guard case .object = node.value else { throw node.failure(expected: "an object") }
      return node
    }
    let configuration = try read("tokenizer_config.json")
    var sources = [configuration].compactMap { $0 }
    if let tokens = try configuration?.member("added_tokens_decoder") {
      isComplete = true
      listed = try tokens.members().map { try AddedToken(id: Self.id($0.key, tokens), $0.node) }
    } else {
      if let map = try read("special_tokens_map.json") { sources.insert(map, at: 0) }
    }
    try readNames(sources)
    chatTemplate = try readTemplate(in: folder, configuration)
    if !isComplete, let tokens = try read("added_tokens.json") {
      let special = Set((named + extra).map { ExactString($0.content) })
      listed = try tokens.members().map { content, id in
        var token = AddedToken(special: content)
        token.id = TokenID(try id.integer("an id", in: 0...Vocabulary.maximumID))
        token.isSpecial = special.contains(ExactString(content))
        token.isNormalized = !token.isSpecial
        return token
      }
    }
    listed.sort { $0.id < $1.id }
    if let (first, second) = zip(listed, listed.dropFirst()).first(where: { $0.id == $1.id }) {
      throw InputError(
        "\(folder.path): id \(first.id) is given to two added tokens, \(quoted(first.content)) and "
          + "\(quoted(second.content))")
    }
  }

  private static func id(_ key: String, _ node: JSONNode) throws -> TokenID {
    guard let id = Int(key), (0...Vocabulary.maximumID).contains(id) else {
      throw InputError(
        "\(node.file): \(node.path) has the key \(quoted(key)): expected an id from 0 to \(Vocabulary.maximumID)")
    }
    return TokenID(id)
  }

  /// Reads the special tokens that are named by keys; if several files have a key, the first file's value counts.
  private mutating func readNames(_ sources: [JSONNode]) throws {
    var found: [(key: String, token: AddedToken)] = []
    var keys: Set<ExactString> = []
    for source in sources {
      for (key, node) in try source.members() where key.hasSuffix("_token") && !keys.contains(ExactString(key)) {
        guard let token = try Self.special(node) else { continue }
        keys.insert(ExactString(key))
        found.append((key, token))
      }
      guard extra.isEmpty else { continue }
      for key in ["extra_special_tokens", "additional_special_tokens"] where extra.isEmpty {
        guard let tokens = try source.member(key) else { continue }
        if case .object = tokens.value {
          // Keys that are specific to a model.
          found += try tokens.members().compactMap { key, node in try Self.special(node).map { (key, $0) } }
        } else {
          extra = try tokens.elements().compactMap(Self.special)
        }
      }
    }
    for (key, token) in found { namedTokens[key] = token.content }
    let standard = Self.standardKeys.compactMap { key in found.first { $0.key == key } }
    named = (standard + found.filter { !Self.standardKeys.contains($0.key) }).map(\.token)
  }

  /// A template in a file of its own has precedence, as in transformers; a list of them has a name for each.
  private func readTemplate(in folder: URL, _ configuration: JSONNode?) throws -> ChatTemplate? {
    let file = folder.appending(path: Self.templateName)
    if exists(file.path) {
      let source = String(decoding: try boundedContents(of: file, limit: ChatTemplate.maximumSize), as: UTF8.self)
      return try ChatTemplate(source, name: file.path, specialTokens: namedTokens)
    }
    guard let node = try configuration?.member("chat_template") else { return nil }
    let name = "\(node.file): \(node.path)"
    guard case .array = node.value else {
      return try ChatTemplate(node.string(), name: name, specialTokens: namedTokens)
    }
    var sources: [String: String] = [:]
    for element in try node.elements() {
      sources[try element.required("name").string()] = try element.required("template").string()
    }
    guard let source = sources["default"] else { throw node.failure(expected: "a template named 'default'") }
    return try ChatTemplate(source, toolSource: sources["tool_use"], name: name, specialTokens: namedTokens)
  }

  /// A special token, given as its text or as an object; nil for flags such as `add_bos_token`.
  private static func special(_ node: JSONNode) throws -> AddedToken? {
    switch node.value {
    case .null, .boolean: return nil
    case .object:
      var token = try AddedToken(id: -1, node)
      if try node.member("normalized") == nil { token.isNormalized = false }
      token.isSpecial = true
      return token
    default: return AddedToken(special: try node.string())
    }
  }

  /// The added tokens of `tokenizer.json`, completed by those of these files.
  ///
  /// - Throws: ``TokenizationError`` naming the file and the token whose id would be out of range.
  func completing(_ own: [AddedToken], _ vocabulary: Vocabulary, file: String) throws -> [AddedToken] {
    var tokens = own
    var places: [ExactString: Int] = [:]
    for (index, token) in own.enumerated() { places[ExactString(token.content)] = index }
    var next = max(vocabulary.count, (own.lazy.map { Int($0.id) }.max() ?? -1) + 1)
    func add(_ token: AddedToken) throws {
      guard !token.content.isEmpty else { return }
      var token = token
      if let place = places[ExactString(token.content)] {
        token.id = tokens[place].id
        tokens[place] = token
        return
      }
      let id = vocabulary.id(of: token).map { Int($0) } ?? next
      guard id <= Vocabulary.maximumID else {
        throw TokenizationError.malformed(
          "\(file): the added token \(quoted(token.content)) would have the id \(id): expected at most "
            + "\(Vocabulary.maximumID)")
      }
      token.id = TokenID(id)
      next = max(next, id + 1)
      places[ExactString(token.content)] = tokens.count
      tokens.append(token)
    }
    let ownIDs = Set(isComplete ? [] : own.map(\.id))
    let special = Set(named.map { ExactString($0.content) })
    for token in listed where !ownIDs.contains(token.id) {
      var token = token
      let isNew = places[ExactString(token.content)].map { tokens[$0].flags != token.flags } ?? true
      guard isNew else { continue }
      if special.contains(ExactString(token.content)) { token.isSpecial = true }
      try add(token)
    }
    for token in named + extra where places[ExactString(token.content)] == nil { try add(token) }
    return tokens
  }
}
