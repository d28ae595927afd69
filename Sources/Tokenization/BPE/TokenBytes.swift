import WidebandCheckedInput

/// The bytes of all tokens in one array, ordered by id: the table for decoding.
struct TokenBytes: Sendable {
  private var storage: [UInt8] = []
  private var ends: [Int] = []
  private var isAssigned: [Bool] = []
  private var isSpecial: [Bool]

  /// - Throws: ``TokenizationError`` without a file name if two tokens have the same id.
  init(_ vocabulary: Vocabulary, _ added: [AddedToken], spelled contents: [[UInt8]]) throws {
    var spans: [Range<Int>?] = []
    var pool: [UInt8] = []
    func place(_ bytes: some Collection<UInt8>, _ id: TokenID) throws {
      let index = Int(id)
      if index >= spans.count { spans.append(contentsOf: repeatElement(nil, count: index + 1 - spans.count)) }
      if let span = spans[index] {
        guard pool[span].elementsEqual(bytes) else {
          let names = [String(decoding: pool[span], as: UTF8.self), String(decoding: bytes, as: UTF8.self)].sorted()
          throw TokenizationError.malformed(
            "id \(id) is given to two tokens, \(quoted(names[0])) and \(quoted(names[1]))")
        }
      } else {
        spans[index] = pool.count..<pool.count + bytes.count
        pool.append(contentsOf: bytes)
      }
    }
    try vocabulary.forEachToken { try place($0, $1) }
    for (token, utf8) in zip(added, contents) {
      var bytes: [UInt8] = []
      // An added token whose characters are all in the byte alphabet is decoded by it, as by the reference.
      let isSpelled = utf8.withUnsafeBufferPointer { ByteAlphabet.decode($0, into: &bytes) }
      try place(isSpelled ? bytes : utf8, token.id)
    }
    isSpecial = [Bool](repeating: false, count: spans.count)
    for token in added where token.isSpecial { isSpecial[Int(token.id)] = true }
    for span in spans {
      if let span { storage.append(contentsOf: pool[span]) }
      ends.append(storage.count)
      isAssigned.append(span != nil)
    }
  }

  /// One more than the highest id.
  var count: Int { ends.count }

  /// Appends the bytes of a token.
  ///
  /// - Throws: ``TokenizationError`` if no token has this id.
  func append(_ id: TokenID, skipSpecialTokens: Bool, to output: inout [UInt8]) throws {
    let index = Int(id)
    guard ends.indices.contains(index) else {
      throw TokenizationError.unknownToken(
        "token id \(id) is out of range: the vocabulary has \(count) ids, 0 to \(count - 1)")
    }
    guard isAssigned[index] else {
      throw TokenizationError.unknownToken("token id \(id) belongs to no token of the vocabulary")
    }
    if skipSpecialTokens, isSpecial[index] { return }
    output += bytes(at: index)
  }

  /// The bytes of a token, or nil if no token has this id.
  func bytes(of id: TokenID) -> [UInt8]? {
    let index = Int(id)
    guard ends.indices.contains(index), isAssigned[index] else { return nil }
    return [UInt8](bytes(at: index))
  }

  private func bytes(at index: Int) -> ArraySlice<UInt8> { storage[(index == 0 ? 0 : ends[index - 1])..<ends[index]] }
}
