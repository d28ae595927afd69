import TestSupport
import Testing
import WidebandCheckedInput

@testable import WidebandServer

@Suite("A call that the client asks for") struct ToolChoiceTests {
  private static let tools = #"""
    "tools": [
      {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "required": ["place"],
        "properties": {"place": {"$ref": "#/$defs/place"}}, "$defs": {"place": {"enum": ["Oslo", "Rome"]}}}}},
      {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "required": ["zone"],
        "properties": {"zone": {"type": "integer", "minimum": -12, "maximum": 12}}}}}]
    """#

  private func ask(_ choice: String, _ more: String = "", _ tools: String = tools) async throws -> TestClient.Response {
    let body = #"{"messages": [{"role": "user", "content": "x"}], \#(tools), "tool_choice": \#(choice)\#(more)}"#
    var response: TestClient.Response?
    try await TestServer.with { response = try await $0.client.post("/v1/chat/completions", body) }
    return try #require(response)
  }

  /// The name and the arguments of the only call of an answer.
  private func call(_ response: TestClient.Response) throws -> (name: String?, arguments: JSONValue) {
    let choice = response.json["choices"][0]
    #expect(choice["finish_reason"] == "tool_calls" && choice["message"]["content"] == .null, "\(response.text)")
    #expect(choice["message"]["tool_calls"].count == 1)
    let function = choice["message"]["tool_calls"][0]["function"]
    let arguments = try #require(function["arguments"].string)
    return (function["name"].string, try JSONValue(parsing: arguments.utf8, file: "arguments"))
  }

  @Test("a function that is named is called with arguments of its schema", arguments: 0..<3)
  func named_isCalled(seed: Int) async throws {
    let choice = #"{"type": "function", "function": {"name": "weather"}}"#
    let (name, arguments) = try call(try await ask(choice, #", "max_tokens": 400, "seed": \#(seed)"#))
    #expect(name == "weather" && arguments.count == 1)
    #expect(["Oslo", "Rome"].contains(arguments["place"].string))
  }

  @Test("some function is called where a call is required", arguments: 0..<6)
  func required_isCalled(seed: Int) async throws {
    let (name, arguments) = try call(try await ask("\"required\"", #", "max_tokens": 400, "seed": \#(seed)"#))
    switch name {
    case "weather": #expect(["Oslo", "Rome"].contains(arguments["place"].string))
    case "time": #expect((-12...12).contains(try #require(arguments["zone"].integer)))
    default: Issue.record("\(name ?? "no name")")
    }
  }

  @Test("a choice that no tool can be called with is refused by name")
  func choices_areRefused() async throws {
    let unknown = try await ask(#"{"type": "function", "function": {"name": "f"}}"#)
    #expect(unknown.status == 400 && unknown.json["error"]["param"] == "tool_choice")
    #expect(unknown.json["error"]["message"] == "request body: tool_choice is 'f': expected a function of tools")
    let none = try await ask("\"required\"", "", #""tools": []"#)
    #expect(none.json["error"]["message"] == "request body: tool_choice is 'required': expected a function of tools")
    let both = try await ask("\"required\"", #", "response_format": {"type": "json_object"}"#)
    #expect(both.status == 400 && both.json["error"]["param"] == "response_format")
    let schema = #""tools": [{"type": "function", "function": {"name": "f", "parameters": {"not": {}}}}]"#
    let keyword = try await ask("\"required\"", "", schema)
    #expect(
      keyword.json["error"]["message"]
        == "request body: parameters of the function 'f': schema #: 'not' is not supported")
    #expect(try await ask("\"auto\"", #", "max_tokens": 1"#, schema).status == 200)
  }
}
