import Foundation
import Yams

extension Recipe {
  /// The recipe as YAML with all keys. Reading it gives an equal recipe.
  public func yaml() throws -> String {
    // Yams writes numbers with 15 digits, so a resumed run would use rounded ones. Foundation's JSON has all digits,
    // and JSON is YAML.
    guard let root = try Yams.compose(yaml: String(decoding: json(), as: UTF8.self)) else { return "" }
    return try Yams.serialize(node: Self.block(root), allowUnicode: true, sortKeys: true)
  }

  /// The recipe as JSON, with YAML's words for numbers that are not finite as strings.
  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: Self.infinity, negativeInfinity: "-.inf", nan: ".nan")
    return try encoder.encode(self)
  }

  /// Infinity in YAML, which means no clipping. JSON has no infinity, so it is encoded as this string.
  private static let infinity = ".inf"

  /// The tree with one key per line and without quotes around keys.
  private static func block(_ node: Node) -> Node {
    guard let mapping = node.mapping else { return node.string == infinity ? Node(infinity) : node }
    let pairs = mapping.map { key, value in (Node(key.string ?? ""), block(value)) }
    return .mapping(Node.Mapping(pairs, .implicit, .block))
  }
}
