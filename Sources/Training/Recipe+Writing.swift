import Foundation
import Yams

extension Recipe {
  /// The recipe as YAML, every key written out; read again, it is the very same recipe.
  public func yaml() throws -> String {
    // Yams writes numbers with 15 digits, and a resumed run would compute with others than the one before it. What
    // Foundation writes as JSON has all of them, and JSON is YAML.
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: Self.infinity, negativeInfinity: "-.inf", nan: ".nan")
    let json = String(decoding: try encoder.encode(self), as: UTF8.self)
    guard let root = try Yams.compose(yaml: json) else { return "" }
    return try Yams.serialize(node: Self.block(root), allowUnicode: true, sortKeys: true)
  }

  /// The largest number there is, which means no clipping, in YAML. JSON has no such number, only such a text.
  private static let infinity = ".inf"

  /// A tree of keys with one key a line and none of them in quotes.
  private static func block(_ node: Node) -> Node {
    guard let mapping = node.mapping else { return node.string == infinity ? Node(infinity) : node }
    let pairs = mapping.map { key, value in (Node(key.string ?? ""), block(value)) }
    return .mapping(Node.Mapping(pairs, .implicit, .block))
  }
}
