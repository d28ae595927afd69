import WidebandCheckedInput

extension TokenizerFile {
  /// The hash of the file's content in canonical order: tokens by id, merges by rank, then the settings.
  var fingerprint: String {
    var hash = Fingerprint()
    hash.add("byte-pair tokenizer 1".utf8)
    var tokens: [(id: TokenID, bytes: [UInt8])] = []
    model.vocabulary.forEachToken { tokens.append(($1, [UInt8]($0))) }
    tokens.sort { $0.id < $1.id }
    hash.add(Int64(tokens.count))
    for (id, bytes) in tokens {
      hash.add(Int64(id))
      hash.add(bytes)
    }
    hash.add(Int64(model.vocabulary.merges.count))
    for (left, right) in model.vocabulary.merges { for id in [left, right] { hash.add(Int64(id)) } }
    hash.add(Int64(model.unknownID ?? -1))
    hash.add(flags: [model.fusesUnknown, model.ignoresMerges, isComposing])
    hash.add(Int64(addedTokens.count))
    for token in addedTokens.sorted(by: { $0.id < $1.id }) {
      hash.add(Int64(token.id))
      hash.add(token.content.utf8)
      hash.add(flags: token.flags)
    }
    for step in preTokenizer.steps { hash.add(step) }
    for ids in [template.prefix, template.suffix] {
      hash.add(Int64(ids.count))
      for id in ids { hash.add(Int64(id)) }
    }
    return hash.hexadecimal()
  }
}

extension Fingerprint {
  fileprivate mutating func add(flags: [Bool]) {
    add(flags.map { $0 ? 1 : 0 })
  }

  fileprivate mutating func add(_ step: PreTokenizer.Step) {
    switch step {
    case .prefixSpace: add("prefix space".utf8)
    case .split(let pattern, let behavior, let isInverted):
      add((pattern.isLiteral ? "literal" : "pattern").utf8)
      add(pattern.source.utf8)
      add(behavior.rawValue.utf8)
      add(flags: [isInverted])
    }
  }
}
