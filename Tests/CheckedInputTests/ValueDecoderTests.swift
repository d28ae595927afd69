import Testing
import WidebandCheckedInput

@Suite struct ValueDecoderTests {
  private enum Kind: String, Codable, CaseIterable { case one, two }

  private struct Inner: Codable, Equatable {
    var list: [Int] = []
  }

  private struct Settings: Codable, Equatable {
    var count: Int
    var seed: UInt64?
    var rate: Double?
    var kind: Kind?
    var inner: Inner?
    var flag: Bool?
    var name: String?
  }

  private func decoded(_ text: String) throws -> Settings {
    try ValueDecoder("f").decode(Settings.self, from: try JSONValue(parsing: text.utf8, file: "f"))
  }

  @Test("all kinds of values are decoded")
  func decode_values() throws {
    let text = """
      {"count": 3, "seed": 18446744073709551615, "rate": 1e-3, "kind": "two", "inner": {"list": [1, 2.0]}, "flag": true,
       "name": "n", "unread": [1e999, 123456789012345678901234567890, "\\ud800", NaN]}
      """
    #expect(
      try decoded(text)
        == Settings(count: 3, seed: .max, rate: 0.001, kind: .two, inner: Inner(list: [1, 2]), flag: true, name: "n"))
  }

  @Test("integers of every width are decoded within their bounds")
  func decode_integers() throws {
    func check<Value: FixedWidthInteger & Decodable>(_ type: Value.Type) throws {
      let decoder = ValueDecoder("f")
      let list = try JSONValue(parsing: "[\(Value.min), 7.0, \(Value.max)]".utf8, file: "f")
      #expect(try decoder.decode([Value].self, from: list) == [.min, 7, .max])
      #expect(try decoder.decode([String: Value?].self, from: .object(JSONObject())) == [:])
      let error = #expect(throws: InputError.self) { try decoder.decode(type, from: .number(JSONNumber("1e30"))) }
      #expect(error?.description == "f: the document is 1e30: expected an integer")
    }
    try check(Int.self)
    try check(Int8.self)
    try check(Int16.self)
    try check(Int32.self)
    try check(Int64.self)
    try check(UInt.self)
    try check(UInt8.self)
    try check(UInt16.self)
    try check(UInt32.self)
    try check(UInt64.self)
  }

  @Test(
    "an error is one sentence with key, value and expectation",
    arguments: [
      ("[]", "f: the document is a list: expected an object"),
      ("{}", "f: count is missing"),
      ("{\"count\": null}", "f: count is null: expected an integer"),
      ("{\"count\": \"3\"}", "f: count is '3': expected an integer"),
      ("{\"count\": 2.5}", "f: count is 2.5: expected an integer"),
      (
        "{\"count\": 9223372036854775808}",
        "f: count is 9223372036854775808: expected an integer from -9223372036854775808 to 9223372036854775807"
      ),
      ("{\"count\": 1, \"seed\": -1}", "f: seed is -1: expected an integer from 0 to 18446744073709551615"),
      ("{\"count\": 1, \"rate\": 1e400}", "f: rate is 1e400: expected a number"),
      ("{\"count\": 1, \"rate\": NaN}", "f: rate is NaN: expected a number"),
      ("{\"count\": 1, \"kind\": \"three\"}", "f: kind is 'three': expected one of one, two"),
      ("{\"count\": 1, \"kind\": 1}", "f: kind is 1: expected one of one, two"),
      ("{\"count\": 1, \"inner\": {\"list\": [1, {}]}}", "f: inner.list[1] is an object: expected an integer"),
      ("{\"count\": 1, \"inner\": {}}", "f: inner.list is missing"),
      ("{\"count\": 1, \"flag\": 1}", "f: flag is 1: expected true or false"),
      (
        "{\"count\": 1, \"name\": \"\\ud800\"}",
        "f: name is a string with half of a surrogate pair: expected a string"
      ),
      ("{\"count\": 1, \"name\": 1}", "f: name is 1: expected a string"),
    ])
  func decode_mismatch(text: String, expected: String) throws {
    let error = #expect(throws: InputError.self) { try decoded(text) }
    #expect(error?.description == expected)
  }
}
