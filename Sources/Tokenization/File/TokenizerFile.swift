import Foundation
import WidebandCheckedInput

/// Reads a `tokenizer.json` into the parts of a ``Tokenizer``; settings that are not supported are refused by name.
struct TokenizerFile {
  let model: MergeModel
  let addedTokens: [AddedToken]
  /// The bytes that each added token matches and decodes to: its content, normalized if its flag says so.
  let addedPatterns: [[UInt8]]
  let isComposing: Bool
  let preTokenizer: PreTokenizer
  /// Ids before and after a text that is encoded with special tokens.
  let template: (prefix: [TokenID], suffix: [TokenID])
  let tokenBytes: TokenBytes

  /// - Parameters:
  ///   - json: the content of the file.
  ///   - file: its name in error messages.
  ///   - companions: the added tokens of the files in the same folder.
  init(_ json: Bytes, file: String, companions: CompanionFiles = CompanionFiles()) throws {
    guard UTF8Text.validPrefix(of: json) == json.count else {
      throw TokenizationError.malformed("\(file): not UTF-8 at byte \(UTF8Text.validPrefix(of: json))")
    }
    var scanner = JSONScanner(json.withoutByteOrderMark, file: file)
    let sections = try Sections(&scanner)
    let root = JSONNode(.object(sections.members), file: file)
    let model = try ModelReader.read(sections, file: file)
    self.model = model
    let ownTokens = try root.member("added_tokens").map(Self.readAddedTokens) ?? []
    for token in ownTokens {
      if let modelID = model.vocabulary.id(of: token), modelID != token.id {
        throw TokenizationError.malformed(
          "\(file): added token \(quoted(token.content)) has id \(token.id), but model.vocab gives it \(modelID)")
      }
    }
    addedTokens = try companions.completing(ownTokens, model.vocabulary, file: file)
    let isComposing = try root.member("normalizer").map(Self.readNormalizer) ?? false
    self.isComposing = isComposing
    addedPatterns = addedTokens.map { token in
      let content = Array(token.content.utf8)
      guard isComposing, token.isNormalized else { return content }
      return content.withUnsafeBufferPointer { CanonicalComposition.composed($0) } ?? content
    }
    preTokenizer = try PreTokenizerReader.read(root)
    template = try root.member("post_processor").map(Self.readTemplate) ?? ([], [])
    if let decoder = try root.member("decoder") { try Self.checkDecoder(decoder) }
    do {
      tokenBytes = try TokenBytes(model.vocabulary, addedTokens, spelled: addedPatterns)
    } catch let error as TokenizationError {
      throw TokenizationError.malformed("\(file): \(error.description)")
    }
    for id in template.prefix + template.suffix where tokenBytes.bytes(of: id) == nil {
      throw TokenizationError.malformed("\(file): post_processor uses id \(id), which belongs to no token")
    }
  }

  private static func readAddedTokens(_ node: JSONNode) throws -> [AddedToken] {
    var seen: Set<ExactString> = []
    return try node.elements().map { element in
      let id = try element.required("id").integer("an id", in: 0...Vocabulary.maximumID)
      let token = try AddedToken(id: TokenID(id), element)
      guard !token.content.isEmpty else { throw try element.required("content").failure(expected: "text") }
      guard seen.insert(ExactString(token.content)).inserted else {
        throw TokenizationError.malformed("\(node.file): added token \(quoted(token.content)) is listed twice")
      }
      return token
    }
  }

  private static func readNormalizer(_ node: JSONNode) throws -> Bool {
    let type = try node.required("type")
    switch try type.string() {
    case "NFC": return true
    case "Sequence":
      let steps = try node.required("normalizers").elements().map(readNormalizer)
      return steps.contains(true)
    default: throw type.failure(expected: "'NFC', 'Sequence' or no normalizer")
    }
  }

  private static func readTemplate(_ node: JSONNode) throws -> ([TokenID], [TokenID]) {
    let type = try node.required("type")
    switch try type.string() {
    case "ByteLevel": return ([], [])
    case "Sequence":
      return try node.required("processors").elements().map(readTemplate).reduce(([], [])) {
        ($1.0 + $0.0, $0.1 + $1.1)
      }
    case "TemplateProcessing": return try readSingleTemplate(node)
    default: throw type.failure(expected: "'ByteLevel', 'TemplateProcessing' or 'Sequence'")
    }
  }

  private static func readSingleTemplate(_ node: JSONNode) throws -> ([TokenID], [TokenID]) {
    var (prefix, suffix, sequences): ([TokenID], [TokenID], Int) = ([], [], 0)
    for piece in try node.required("single").elements() {
      if try piece.member("Sequence") != nil {
        sequences += 1
        continue
      }
      let name = try piece.required("SpecialToken").required("id").string()
      let ids = try node.required("special_tokens").required(name).required("ids").elements().map {
        TokenID(try $0.integer("an id", in: 0...Vocabulary.maximumID))
      }
      if sequences == 0 { prefix += ids } else { suffix += ids }
    }
    guard sequences == 1 else {
      throw TokenizationError.malformed(
        "\(node.file): \(node.path).single names the text \(sequences) times: expected once")
    }
    return (prefix, suffix)
  }

  private static func checkDecoder(_ node: JSONNode) throws {
    let type = try node.required("type")
    switch try type.string() {
    case "ByteLevel": return
    case "Sequence": try node.required("decoders").elements().forEach(checkDecoder)
    default: throw type.failure(expected: "'ByteLevel'")
    }
  }
}

/// The members of a tokenizer file; the two large ones, `vocab` and `merges`, as scanners at their positions.
struct Sections {
  var members = JSONObject()
  var model = JSONObject()
  var vocabulary: JSONScanner?
  var merges: JSONScanner?

  init(_ scanner: inout JSONScanner) throws {
    var isModelFound = false
    try scanner.object { scanner, key in
      let name = String(decoding: key, as: UTF8.self)
      guard name == "model" else { return members[name] = try scanner.value() }
      // The last of several `model` members replaces the earlier ones entirely.
      (isModelFound, model, vocabulary, merges) = (true, JSONObject(), nil, nil)
      try readModel(&scanner)
    }
    try scanner.end()
    guard isModelFound else { throw TokenizationError.malformed("\(scanner.file): model is missing") }
  }

  private mutating func readModel(_ scanner: inout JSONScanner) throws {
    try scanner.object { scanner, key in
      let name = String(decoding: key, as: UTF8.self)
      switch name {
      case "vocab":
        vocabulary = scanner
        try scanner.skip()
      case "merges":
        merges = scanner
        try scanner.skip()
      default: model[name] = try scanner.value()
      }
    }
  }
}
