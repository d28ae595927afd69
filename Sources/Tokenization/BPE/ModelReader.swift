import WidebandCheckedInput

/// Reads the `model` of a tokenizer file: settings, vocabulary and merges.
enum ModelReader {
  static func read(_ sections: Sections, file: String) throws -> MergeModel {
    let node = JSONNode(value: .object(sections.model), path: "model", file: file)
    try checkSettings(node)
    guard var vocabularyScanner = sections.vocabulary else {
      throw TokenizationError.malformed("\(file): model.vocab is missing")
    }
    guard var mergeScanner = sections.merges else {
      throw TokenizationError.malformed("\(file): model.merges is missing")
    }
    var vocabulary = try readVocabulary(&vocabularyScanner)
    try readMerges(&mergeScanner, into: &vocabulary)
    let byteIDs = (0...255).map { (byte: UInt8) in
      [byte].withUnsafeBufferPointer { vocabulary.id(of: $0) } ?? -1
    }
    var unknownID: TokenID?
    if let unknown = try node.member("unk_token") {
      let name = try unknown.string()
      unknownID = Array(name.utf8).withUnsafeBufferPointer { vocabulary.id(spelled: $0) }
      if unknownID == nil, byteIDs.contains(-1) { throw unknown.failure(expected: "a token of model.vocab") }
    }
    return MergeModel(
      vocabulary: vocabulary, byteIDs: byteIDs, unknownID: unknownID,
      fusesUnknown: try node.flag("fuse_unk", default: false),
      ignoresMerges: try node.flag("ignore_merges", default: false))
  }

  private static func checkSettings(_ node: JSONNode) throws {
    if let type = try node.member("type"), try type.string() != "BPE" { throw type.failure(expected: "'BPE'") }
    if try node.flag("byte_fallback", default: false) {
      throw try node.required("byte_fallback").failure(expected: "false")
    }
    if let dropout = try node.member("dropout"), dropout.value.number?.double != 0 {
      throw dropout.failure(expected: "null or 0")
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let affix = try node.member(key), try affix.string() != "" { throw affix.failure(expected: "null or ''") }
    }
  }

  private static func readVocabulary(_ scanner: inout JSONScanner) throws -> Vocabulary {
    var vocabulary = Vocabulary(minimumCapacity: scanner.count / 64)
    var bytes: [UInt8] = []
    try scanner.object { scanner, key in
      guard let index = scanner.index(upTo: Vocabulary.maximumID) else {
        let value = try scanner.value()
        let path = "model.vocab[\(quoted(String(decoding: key, as: UTF8.self)))]"
        throw JSONNode(value: value, path: path, file: scanner.file)
          .failure(expected: "an id from 0 to \(Vocabulary.maximumID)")
      }
      bytes.removeAll(keepingCapacity: true)
      if key.withUnsafeBufferPointer({ ByteAlphabet.decode($0, into: &bytes) }) {
        bytes.withUnsafeBufferPointer { vocabulary.add($0, id: TokenID(index)) }
      } else {
        guard String(validating: key, as: UTF8.self) != nil else {
          throw scanner.failure("half of a surrogate pair in a token of model.vocab")
        }
        vocabulary.addForeign(key, id: TokenID(index))
      }
    }
    guard vocabulary.count > 0 else { throw TokenizationError.malformed("\(scanner.file): model.vocab is empty") }
    return vocabulary
  }

  private static func readMerges(_ scanner: inout JSONScanner, into vocabulary: inout Vocabulary) throws {
    var merge = MergeText()
    var count = 0
    try scanner.array { scanner in
      do {
        try merge.read(&scanner)
        if let missing = merge.add(to: &vocabulary) {
          throw MergeText.Failure(message: "needs the token \(quoted(missing)), which is not in model.vocab")
        }
      } catch let failure as MergeText.Failure {
        throw TokenizationError.malformed("\(scanner.file): model.merges[\(count)] \(failure.message)")
      }
      count += 1
    }
  }
}

/// One merge as the file spells it: `["a", "b"]`, or `"a b"` in older files.
private struct MergeText {
  struct Failure: Error {
    let message: String
  }

  /// The spellings of both tokens, concatenated.
  private var spelling: [UInt8] = []
  private var leftCount = 0
  private var bytes: [UInt8] = []

  mutating func read(_ scanner: inout JSONScanner) throws {
    spelling.removeAll(keepingCapacity: true)
    guard scanner.isAtArray() else { return try readText(&scanner) }
    var count = 0
    try scanner.array { scanner in
      if count == 1 { leftCount = spelling.count }
      try Self.read(&scanner, into: &spelling)
      count += 1
    }
    guard count == 2 else { throw Failure(message: "has \(count) tokens: expected two") }
  }

  private static func read(_ scanner: inout JSONScanner, into spelling: inout [UInt8]) throws {
    guard try scanner.string(into: &spelling) else { throw Failure(message: "has half of a surrogate pair") }
  }

  private mutating func readText(_ scanner: inout JSONScanner) throws {
    try Self.read(&scanner, into: &spelling)
    let space = UInt8(ascii: " ")
    guard let index = spelling.firstIndex(of: space), !spelling[(index + 1)...].contains(space) else {
      throw Failure(
        message: "is \(quoted(String(decoding: spelling, as: UTF8.self))): expected two tokens and a space between")
    }
    spelling.remove(at: index)
    leftCount = index
  }

  /// Adds the merge.
  ///
  /// - Returns: the spelling of a token that the merge needs and the vocabulary lacks, or nil.
  mutating func add(to vocabulary: inout Vocabulary) -> String? {
    bytes.removeAll(keepingCapacity: true)
    return spelling.withUnsafeBufferPointer { spelling in
      let (left, right) = (Bytes(rebasing: spelling[..<leftCount]), Bytes(rebasing: spelling[leftCount...]))
      let isLeftSpelled = ByteAlphabet.decode(left, into: &bytes)
      let leftByteCount = bytes.count
      guard isLeftSpelled, ByteAlphabet.decode(right, into: &bytes) else {
        // Encoding never produces tokens outside the byte alphabet, so such a merge has no effect.
        let missing = [left, right, spelling].first { vocabulary.id(spelled: $0) == nil }
        return missing.map { String(decoding: $0, as: UTF8.self) }
      }
      return bytes.withUnsafeBufferPointer { bytes in
        vocabulary.addMerge(bytes, leftCount: leftByteCount)
          .map { String(decoding: ByteAlphabet.encode(bytes[$0]), as: UTF8.self) }
      }
    }
  }
}
