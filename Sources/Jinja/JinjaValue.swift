import OrderedCollections
import WidebandCheckedInput

/// A value of a template, with Python's meaning of each kind.
public enum JinjaValue {
  /// What a name, attribute or item yields that does not exist; the text says which, for errors.
  case undefined(String)
  case none
  case boolean(Bool)
  case integer(Int)
  case float(Double)
  case string(MarkedText)
  case list([JinjaValue])
  case tuple([JinjaValue])
  case mapping(OrderedDictionary<MarkedText, JinjaValue>)
  /// An object with attributes that a template can assign.
  case namespace(JinjaNamespace)
  case loop(LoopState)
  case function(JinjaFunction)

  /// A text of the program's own, such as the text of a special token.
  public static func trusted(_ text: String) -> JinjaValue { .string(MarkedText(text)) }

  /// A JSON value whose texts and keys are marked as input.
  ///
  /// - Throws: `InputError` for a string with half of a surrogate pair.
  public init(input value: JSONValue) throws {
    switch value {
    case .null: self = .none
    case .boolean(let value): self = .boolean(value)
    case .number(let number):
      // Python's integers have any size; beyond 64 bits they become floating-point numbers here.
      if let integer = Int(number.text) {
        self = .integer(integer)
      } else {
        self = .float(Double(number.text) ?? .nan)
      }
    case .string(let text): self = .string(MarkedText(text, isInput: true))
    case .loneSurrogate: throw InputError("a string with half of a surrogate pair: expected Unicode text")
    case .array(let elements): self = .list(try elements.map(JinjaValue.init(input:)))
    case .object(let members):
      var mapping = OrderedDictionary<MarkedText, JinjaValue>()
      for (key, value) in members { mapping[MarkedText(key, isInput: true)] = try JinjaValue(input: value) }
      self = .mapping(mapping)
    }
  }

  /// A mapping with keys of the program's own.
  public static func mapping(_ members: KeyValuePairs<String, JinjaValue>) -> JinjaValue {
    .mapping(OrderedDictionary(uniqueKeysWithValues: members.map { (MarkedText($0.key), $0.value) }))
  }
}

/// The attributes of a template's `namespace(…)`.
public final class JinjaNamespace {
  var attributes: [String: JinjaValue] = [:]
}

/// The `loop` of a `for` statement.
public final class LoopState {
  let elements: [JinjaValue]
  var index = 0
  /// The last arguments of `loop.changed`.
  var watched: [JinjaValue]?

  init(_ elements: [JinjaValue]) { self.elements = elements }

  func attribute(_ name: String) -> JinjaValue? {
    switch name {
    case "index": .integer(index + 1)
    case "index0": .integer(index)
    case "revindex": .integer(elements.count - index)
    case "revindex0": .integer(elements.count - index - 1)
    case "first": .boolean(index == 0)
    case "last": .boolean(index == elements.count - 1)
    case "length": .integer(elements.count)
    // Only a recursive loop, which is not supported, has more than one level.
    case "depth": .integer(1)
    case "depth0": .integer(0)
    case "previtem": index > 0 ? elements[index - 1] : .undefined("there is no previous item")
    case "nextitem": index + 1 < elements.count ? elements[index + 1] : .undefined("there is no next item")
    case "cycle": .function(.cycle(self))
    case "changed": .function(.changed(self))
    default: nil
    }
  }
}

/// What a template can call.
public enum JinjaFunction {
  case range, namespace, mapping, raiseException, currentTime
  case cycle(LoopState), changed(LoopState)
  indirect case method(JinjaValue, String)
  case macro(MacroClosure)
}

/// A macro and where its free names are looked up.
public final class MacroClosure {
  let macro: Macro
  let scope: Scope

  init(_ macro: Macro, _ scope: Scope) { (self.macro, self.scope) = (macro, scope) }
}

/// Names and their values; those of the enclosing scope are visible.
final class Scope {
  private var values: [String: JinjaValue]
  private let parent: Scope?

  init(_ values: [String: JinjaValue] = [:], parent: Scope? = nil) { (self.values, self.parent) = (values, parent) }

  func value(of name: String) -> JinjaValue? { values[name] ?? parent?.value(of: name) }
  func set(_ name: String, _ value: JinjaValue) { values[name] = value }
}

extension JinjaValue {
  var isUndefined: Bool {
    if case .undefined = self { true } else { false }
  }

  /// Python's `bool(value)`.
  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .boolean(let value): value
    case .integer(let value): value != 0
    case .float(let value): value != 0
    case .string(let text): !text.isEmpty
    case .list(let elements), .tuple(let elements): !elements.isEmpty
    case .mapping(let members): !members.isEmpty
    case .namespace, .loop, .function: true
    }
  }

  /// The kind as Python's messages name it.
  var typeName: String {
    switch self {
    case .undefined: "Undefined"
    case .none: "None"
    case .boolean: "bool"
    case .integer: "int"
    case .float: "float"
    case .string: "str"
    case .list: "list"
    case .tuple: "tuple"
    case .mapping: "dict"
    case .namespace: "Namespace"
    case .loop: "LoopContext"
    case .function: "function"
    }
  }

  /// The value of a number or a truth value; nil for another kind.
  var number: Double? {
    switch self {
    case .boolean(let value): value ? 1 : 0
    case .integer(let value): Double(value)
    case .float(let value): value
    default: nil
    }
  }

  /// The value of an integer or a truth value; nil for another kind.
  var integer: Int? {
    switch self {
    case .boolean(let value): value ? 1 : 0
    case .integer(let value): value
    default: nil
    }
  }
}
