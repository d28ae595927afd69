import TestSupport
import Testing
import WidebandCheckedInput
import WidebandStructuredOutput

@testable import WidebandServer

@Suite("A call that the client asks for") struct ToolChoiceTests {
  private static let tools = #"""
    "tools": [
      {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "required": ["place"],
        "properties": {"place": {"$ref": "#/$defs/place"}}, "$defs": {"place": {"enum": ["Oslo", "Rome"]}}}}},
      {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "required": ["zone"],
        "properties": {"zone": {"type": "integer", "minimum": -12, "maximum": 12}}}}}]
    """#

  /// The schema of arguments that are longer than any answer here.
  private static let longText =
    #"{"type": "object", "required": ["x"], "properties": {"x": {"type": "string", "minLength": 6000}}}"#

  private func ask(_ choice: String, _ more: String = "", _ tools: String = tools) async throws -> TestClient.Response {
    let body = #"{"messages": [{"role": "user", "content": "x"}], \#(tools), "tool_choice": \#(choice)\#(more)}"#
    var response: TestClient.Response?
    try await TestServer.with { response = try await $0.client.post("/v1/chat/completions", body) }
    return try #require(response)
  }

  /// The name and the arguments of the only call of an answer.
  private func call(_ response: TestClient.Response) throws -> (name: String?, arguments: JSONValue) {
    let choice = response.json["choices"][0]
    #expect(choice["finish_reason"] == "tool_calls", "\(response.text)")
    #expect(choice["message"].has("content") && choice["message"]["content"] == .null, "\(response.text)")
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

  @Test("arguments are an object whatever the parameters", arguments: ["{}", "true", #"{"anyOf": [{}]}"#])
  func anyParameters_giveObjects(parameters: String) async throws {
    let tools = #""tools": [{"type": "function", "function": {"name": "f", "parameters": \#(parameters)}}]"#
    for seed in 0..<3 {
      // What is cut off is no call.
      let answer = try await ask("\"required\"", #", "max_tokens": 300, "seed": \#(seed)"#, tools).json["choices"][0]
      guard answer["finish_reason"] == "tool_calls" else { continue }
      let text = answer["message"]["tool_calls"][0]["function"]["arguments"].string
      #expect(text?.hasPrefix("{") == true, "\(text ?? "no arguments")")
    }
  }

  @Test("parameters that are no schema of an object are refused by name")
  func parameters_areRefused() async throws {
    func message(_ choice: String, _ parameters: String) async throws -> String? {
      let tools = #""tools": [{"type": "function", "function": {"name": "f", "parameters": \#(parameters)}}]"#
      let answer = try await ask(choice, #", "max_tokens": 1"#, tools)
      guard answer.status != 200 else { return nil }
      #expect(answer.status == 400 && answer.json["error"]["param"] == "tools")
      return answer.json["error"]["message"].string
    }
    for choice in ["\"none\"", "\"auto\"", "\"required\""] {
      #expect(
        try await message(choice, "\"x\"")
          == "request body: tools[0].function.parameters is 'x': expected a JSON schema, an object or true")
    }
    #expect(try await message("\"auto\"", #"{"type": "string"}"#) == nil)
    #expect(
      try await message("\"required\"", #"{"type": "string"}"#)
        == "request body: parameters of the function 'f': type is 'string': expected 'object'")
    #expect(try await message("\"required\"", #"{"type": ["object", "null"]}"#) == nil)
    #expect(try await message("\"required\"", #"{"const": 1}"#) != nil)
  }

  @Test("references are those of schemas alone", arguments: ["const", "enum"])
  func values_areNoReferences(keyword: String) throws {
    let value = keyword == "const" ? ##"{"$ref": "#/x"}"## : ##"[{"$ref": "#/x"}]"##
    // A property with the name of a keyword is a schema, and has references.
    let parameters = ##"""
      {"type": "object", "required": ["a", "const"], "additionalProperties": false,
       "properties": {"a": {"\##(keyword)": \##(value)}, "const": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"const": 7}}}
      """##
    let tool = ##"[{"type": "function", "function": {"name": "f", "parameters": \##(parameters)}}]"##
    let tools = try Tool.list(JSONNode(try JSONValue(parsing: tool.utf8, file: "test"), file: "test"))
    let grammar = try #require(try ToolChoice.required.grammar(tools))
    let call = ##"{"name": "f", "arguments": {"a": {"$ref": "#/x"}, "const": 7}}"##
    func accepts(_ text: String) -> Bool {
      var state = grammar.start()
      return state.accept(text.utf8) && state.isComplete
    }
    #expect(accepts(call))
    #expect(!accepts(call.replacing("#/x", with: "#/anyOf/0/properties/arguments/x")))
  }

  @Test("a document is no call, whatever it has in its strings")
  func document_isNoCall() async throws {
    // Space before a tag would be held back, and a call taken out.
    let text = #""a <tool_call>{}</tool_call>""#
    let format = #", "response_format": {"type": "json_schema", "json_schema": {"schema": {"const": \#(text)}}}"#
    let choice = try await ask("\"auto\"", format + #", "max_tokens": 200"#).json["choices"][0]
    #expect(choice["message"] == ["role": "assistant", "content": .string(text)] && choice["finish_reason"] == "stop")
  }

  @Test("a stream has the arguments in parts, which are those of the whole answer", arguments: 0..<3)
  func streamedArguments_areTheWhole(seed: Int) async throws {
    let more = #", "max_tokens": 400, "seed": \#(seed)"#
    let whole = try await ask("\"required\"", more).json["choices"][0]["message"]["tool_calls"][0]["function"]
    let stream = try await ask("\"required\"", more + #", "stream": true"#).objects.map { $0["choices"][0] }
    let calls = stream.map { $0["delta"]["tool_calls"][0] }.filter { $0 != .null }
    let first = try #require(calls.first)
    #expect(first["index"] == 0 && first["type"] == "function" && first["id"].string?.hasPrefix("call_") == true)
    #expect(first["function"] == ["name": whole["name"], "arguments": ""])
    #expect(
      calls.count > 2
        && calls.dropFirst().allSatisfy { $0["index"] == 0 && !$0.has("id") && !$0["function"].has("name") })
    #expect(calls.map { $0["function"]["arguments"].string ?? "" }.joined() == whole["arguments"].string)
    #expect(stream.last?["delta"] == [:] && stream.last?["finish_reason"] == "tool_calls")
  }

  @Test("a call that the token limit or a stop string cuts off is no content")
  func cutCall_isNoContent() async throws {
    let whole = try await ask("\"required\"", #", "max_tokens": 4"#).json["choices"][0]
    #expect(whole["message"] == ["role": "assistant", "content": .null] && whole["finish_reason"] == "length")
    let stream = try await ask("\"required\"", #", "max_tokens": 4, "stream": true"#).objects.map { $0["choices"][0] }
    #expect(stream.map { $0["delta"] } == [["role": "assistant", "content": ""], [:]])
    #expect(stream.last?["finish_reason"] == "length")
    // Once the arguments have begun, a stream has had their beginning.
    let long = #""tools": [{"type": "function", "function": {"name": "f", "parameters": \#(Self.longText)}}]"#
    let begun = try await ask("\"required\"", #", "max_tokens": 100, "stream": true"#, long).objects.map {
      $0["choices"][0]
    }
    let calls = begun.map { $0["delta"]["tool_calls"][0] }.filter { $0 != .null }
    #expect(calls.first?["function"]["name"] == "f" && begun.last?["finish_reason"] == "length")
    let stopped = try await ask("\"required\"", #", "max_tokens": 400, "stop": "}""#).json["choices"][0]
    #expect(stopped["message"] == whole["message"] && stopped["finish_reason"] == "stop")
  }

  @Test("a stream whose call is held back has comments")
  func heldCall_hasComments() async throws {
    // The name is known when it is whole.
    let name = String(repeating: "f", count: 6000)
    let body = #"""
      {"messages": [{"role": "user", "content": "x"}], "tool_choice": "required", "max_tokens": 300, "stream": true,
       "tools": [{"type": "function", "function": {"name": "\#(name)"}}]}
      """#
    try await TestServer.with({ options, _ in options.keepAlive = .milliseconds(20) }) { server in
      let answer = try await server.client.post("/v1/chat/completions", body)
      #expect(server.engine.statistics.generatedTokens == 300)
      #expect(answer.text.components(separatedBy: ": keep-alive\n\n").count > 2, "\(answer.text)")
      #expect(answer.objects.count == 2 && answer.events.last == "[DONE]")
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
