import OrderedCollections

/// The filters over the elements of a sequence.
extension Interpreter {
  /// A function that yields the attribute which "a.b.0" names.
  func attributePath(_ path: JinjaValue) -> (JinjaValue) throws -> JinjaValue {
    if let index = path.integer { return { try self.item(.integer(index), of: $0) } }
    let parts = path.text.string.split(separator: ".").map(String.init)
    return { value in
      try parts.reduce(value) { value, part in
        try self.item(Int(part).map { .integer($0) } ?? .trusted(part), of: value)
      }
    }
  }

  func mapped(_ elements: [JinjaValue], _ arguments: CallArguments) throws -> [JinjaValue] {
    if let first = arguments.positional.first {
      guard let filter = JinjaFilter(first.text.string) else { throw Failure("no filter named '\(first.text.string)'") }
      let rest = CallArguments(positional: Array(arguments.positional.dropFirst()), named: arguments.named)
      return try elements.map { try self.filter(filter, $0, rest) }
    }
    let bound = try arguments.bound(to: "attribute", "default", in: "map")
    guard let attribute = bound[0] else { throw Failure("map takes a filter or an attribute") }
    let path = attributePath(attribute)
    return try elements.map { element in
      let value = try path(element)
      return value.isUndefined ? bound[1] ?? value : value
    }
  }

  func selected(_ filter: JinjaFilter, _ elements: [JinjaValue], _ arguments: CallArguments) throws -> [JinjaValue] {
    var positional = arguments.positional[...]
    var path: ((JinjaValue) throws -> JinjaValue)?
    if filter == .selectattr || filter == .rejectattr {
      guard let attribute = positional.popFirst() else { throw Failure("\(filter.rawValue) takes an attribute") }
      path = attributePath(attribute)
    }
    let test = try positional.popFirst().map { value in
      guard let test = JinjaTest(value.text.string) else { throw Failure("no test named '\(value.text.string)'") }
      return test
    }
    let rest = CallArguments(positional: Array(positional), named: arguments.named)
    let isSelecting = filter == .select || filter == .selectattr
    return try elements.filter { element in
      let value = try path?(element) ?? element
      return try test.map { try passes($0, value, rest) } ?? value.isTrue == isSelecting
    }
  }

  func ordered(_ filter: JinjaFilter, _ value: JinjaValue, _ arguments: CallArguments) throws -> JinjaValue {
    let name = filter.rawValue
    switch filter {
    case .sort:
      let bound = try arguments.bound(to: "reverse", "case_sensitive", "attribute", in: name)
      let key = sortKey(bound[2], isCaseSensitive: bound[1]?.isTrue ?? false)
      return .list(try sorted(value.elements(), by: key, isReversed: bound[0]?.isTrue ?? false))
    case .dictsort:
      let bound = try arguments.bound(to: "case_sensitive", "by", "reverse", in: name)
      let part = bound[1]?.text.string == "value" ? 1 : 0
      let key = sortKey(.integer(part), isCaseSensitive: bound[0]?.isTrue ?? false)
      let items = try call(attribute("items", of: value), CallArguments()).elements()
      return .list(try sorted(items, by: key, isReversed: bound[2]?.isTrue ?? false))
    case .unique:
      let bound = try arguments.bound(to: "case_sensitive", "attribute", in: name)
      let key = sortKey(bound[1], isCaseSensitive: bound[0]?.isTrue ?? false)
      var seen: [JinjaValue] = []
      return .list(
        try value.elements().filter { element in
          let key = try key(element)
          try budget.spend(seen.count)
          guard !seen.contains(where: { JinjaValue.equal($0, key) }) else { return false }
          seen.append(key)
          return true
        })
    case .groupby:
      let bound = try arguments.bound(to: "attribute", "default", in: name)
      guard let attribute = bound[0] else { throw Failure("groupby takes an attribute") }
      let key = attributePath(attribute)
      var groups: [(key: JinjaValue, elements: [JinjaValue])] = []
      for element in try sorted(value.elements(), by: key, isReversed: false) {
        let key = try key(element)
        if let last = groups.last, JinjaValue.equal(last.key, key) {
          groups[groups.count - 1].elements.append(element)
        } else {
          groups.append((key, [element]))
        }
      }
      return .list(groups.map { .tuple([$0.key, .list($0.elements)]) })
    case .min, .max:
      let bound = try arguments.bound(to: "case_sensitive", "attribute", in: name)
      let key = sortKey(bound[1], isCaseSensitive: bound[0]?.isTrue ?? false)
      let elements = try value.elements()
      guard var best = elements.first else { return .undefined("no aggregated item, sequence was empty") }
      for element in elements.dropFirst() {
        let isLess =
          try filter == .min ? JinjaValue.less(key(element), key(best)) : JinjaValue.less(key(best), key(element))
        if isLess { best = element }
      }
      return best
    default:
      let bound = try arguments.bound(to: "attribute", "start", in: name)
      let path = bound[0].map(attributePath)
      return try value.elements().reduce(bound[1] ?? .integer(0)) {
        try JinjaValue.compute(.add, $0, try path?($1) ?? $1)
      }
    }
  }

  /// What elements are compared by: an attribute or the element, without the case of letters.
  private func sortKey(
    _ attribute: JinjaValue?, isCaseSensitive: Bool
  ) -> (JinjaValue) throws -> JinjaValue {
    let path = attribute.map(attributePath)
    return { element in
      let value = try path?(element) ?? element
      guard !isCaseSensitive, case .string(let text) = value else { return value }
      return .string(text.mapScalars(\.properties.lowercaseMapping))
    }
  }

  /// Elements in stable order.
  private func sorted(
    _ elements: [JinjaValue], by key: (JinjaValue) throws -> JinjaValue, isReversed: Bool
  ) throws -> [JinjaValue] {
    let keyed = try elements.map { (key: try key($0), element: $0) }
    // Python's reversed order is stable as well: equal elements keep their order.
    return try keyed.sorted {
      try budget.spend()
      return try isReversed ? JinjaValue.less($1.key, $0.key) : JinjaValue.less($0.key, $1.key)
    }.map(\.element)
  }
}
