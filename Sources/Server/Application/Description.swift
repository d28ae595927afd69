/// The description of the API at `/openapi.json`, for tools that make clients or requests from it.
enum Description {
  /// - Parameter knownTokens: the ids of tokens.
  static func json(knownTokens: ClosedRange<Int>) -> String {
    #"""
    {
      "openapi": "3.1.0",
      "info": {"title": "wideband", "version": "0.1.0", "description": "A server of the OpenAI API."},
      "paths": {
        "/v1/chat/completions": {"post": {
          "summary": "Answers a conversation.",
          "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Chat"}}}},
          "responses": {
            "200": {"description": "The answer, whole or as server-sent events.", "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/ChatAnswer"}}, "text/event-stream": {}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/v1/completions": {"post": {
          "summary": "Continues texts.",
          "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Completion"}}}},
          "responses": {
            "200": {"description": "The texts, whole or as server-sent events.", "content": {
              "application/json": {"schema": {"$ref": "#/components/schemas/CompletionAnswer"}}, "text/event-stream": {}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/tokenize": {"post": {
          "summary": "The tokens of a text.",
          "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object", "required": ["prompt"],
            "properties": {"prompt": {"type": "string"}, "add_special_tokens": {"type": ["boolean", "null"]}}}}}},
          "responses": {
            "200": {"description": "The tokens.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TokensAnswer"}}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/detokenize": {"post": {
          "summary": "The text of tokens.",
          "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object", "required": ["tokens"], "properties": {"tokens": {"$ref": "#/components/schemas/Tokens"}}}}}},
          "responses": {
            "200": {"description": "The text.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TextAnswer"}}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/v1/models": {"get": {
          "summary": "The model.",
          "responses": {
            "200": {"description": "A list of one model.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Models"}}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/v1/models/{model}": {"get": {
          "summary": "The model, whatever the name.",
          "parameters": [{"name": "model", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}],
          "responses": {
            "200": {"description": "The model.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Model"}}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/tokenizer_info": {"get": {
          "summary": "The special tokens of the tokenizer.",
          "responses": {
            "200": {"description": "Their texts.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/TokenizerAnswer"}}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/metrics": {"get": {
          "summary": "Counters in the text format of Prometheus.",
          "responses": {
            "200": {"description": "The counters.", "content": {"text/plain": {}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/engine": {"get": {
          "summary": "What the engine does now.",
          "responses": {
            "200": {"description": "Its state and its counters.", "content": {"application/json": {"schema": {"type": "object"}}}},
            "default": {"$ref": "#/components/responses/Error"}}}},
        "/health": {"get": {
          "summary": "Whether requests are accepted.", "security": [],
          "responses": {
            "200": {"description": "They are.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}},
            "503": {"description": "The server is stopping, or its engine has failed.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}}}}}}
      },
      "security": [{"key": []}, {}],
      "components": {
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        "responses": {"Error": {"description": "An error.", "content": {"application/json": {"schema": {
          "type": "object", "required": ["error"],
          "properties": {"error": {
            "type": "object", "required": ["message", "type", "param", "code"],
            "properties": {
              "message": {"type": "string"}, "type": {"type": "string"}, "param": {"type": ["string", "null"]},
              "code": {"type": ["string", "null"]}}}}}}}}},
        "schemas": {
          "Text": {"type": "string", "minLength": 1},
          "Prompt": {"$ref": "#/components/schemas/Tokens", "minItems": 1},
          "Tokens": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": \#(knownTokens.upperBound)}},
          "Generation": {
            "type": "object",
            "properties": {
              "model": {"type": ["string", "null"], "maxLength": 64},
              "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 16},
              "max_tokens": {"type": ["integer", "null"], "minimum": 0, "maximum": 2147483647},
              "max_completion_tokens": {"type": ["integer", "null"], "minimum": 0, "maximum": 2147483647},
              "temperature": {"type": ["number", "null"], "minimum": 0},
              "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
              "top_k": {"type": ["integer", "null"], "minimum": -1, "maximum": 2147483647},
              "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
              "repetition_penalty": {"type": ["number", "null"], "minimum": 0.001, "maximum": 1000},
              "presence_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
              "frequency_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
              "seed": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 18446744073709551615},
              "logit_bias": {
                "type": ["object", "null"], "propertyNames": {"pattern": "^[0-9]{1,9}$"},
                "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}},
              "stop": {"anyOf": [
                {"type": ["string", "null"], "minLength": 1, "maxLength": 256},
                {"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1, "maxLength": 256}}]},
              "ignore_eos": {"type": ["boolean", "null"]},
              "stop_token_ids": {"allOf": [{"type": ["array", "null"], "maxItems": 64}, {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Tokens"}]}]},
              "min_tokens": {"type": ["integer", "null"], "minimum": 0, "maximum": 2147483647},
              "best_of": {"enum": [1, null]},
              "stream": {"type": ["boolean", "null"]},
              "stream_options": {
                "type": ["object", "null"], "properties": {"include_usage": {"type": ["boolean", "null"]}}},
              "response_format": {"anyOf": [
                {"type": "null"},
                {"type": "object", "required": ["type"], "properties": {"type": {"enum": ["text", "json_object"]}}},
                {"type": "object", "required": ["type", "json_schema"], "properties": {
                  "type": {"enum": ["json_schema"]},
                  "json_schema": {"type": "object", "required": ["schema"], "properties": {"schema": {"type": "object"}}}}}]}}},
          "Completion": {
            "required": ["prompt"],
            "allOf": [{"$ref": "#/components/schemas/Generation"}],
            "properties": {
              "prompt": {"anyOf": [
                {"$ref": "#/components/schemas/Text"},
                {"type": "array", "minItems": 1, "maxItems": 64, "items": {"$ref": "#/components/schemas/Text"}},
                {"$ref": "#/components/schemas/Prompt"},
                {"type": "array", "minItems": 1, "maxItems": 64, "items": {"$ref": "#/components/schemas/Prompt"}}]},
              "echo": {"type": ["boolean", "null"]},
              "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
              "suffix": {"type": "null"}}},
          "Chat": {
            "required": ["messages"],
            "allOf": [{"$ref": "#/components/schemas/Generation"}, {"anyOf": [
              {"properties": {"top_logprobs": {"type": ["integer", "null"], "maximum": 0}}},
              {"required": ["logprobs"], "properties": {"logprobs": {"const": true}}}]}],
            "properties": {
              "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Message"}},
              "logprobs": {"type": ["boolean", "null"]},
              "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
              "tools": {"type": ["array", "null"], "maxItems": 128, "items": {
                "type": "object", "required": ["type", "function"],
                "properties": {
                  "type": {"enum": ["function"]},
                  "function": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"},
                    "parameters": {"anyOf": [{"type": ["object", "null"]}, {"const": true}]}}}}}},
              "functions": {"type": "null"},
              "function_call": {"type": "null"},
              "continue_final_message": {"enum": [false, null]},
              "add_generation_prompt": {"enum": [true, null]},
              "tool_choice": {"anyOf": [
                {"enum": ["none", "auto", "required", null]},
                {"type": "object", "required": ["type", "function"], "properties": {
                  "type": {"const": "function"},
                  "function": {
                    "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}]},
              "enable_thinking": {"type": ["boolean", "null"]},
              "chat_template": {"type": "null"},
              "chat_template_kwargs": {
                "type": ["object", "null"], "properties": {"enable_thinking": {"type": ["boolean", "null"]}}}}},
          "Message": {"anyOf": [
            {"type": "object", "required": ["role", "content"], "properties": {
              "role": {"enum": ["system", "developer", "user"]},
              "content": {"$ref": "#/components/schemas/Content"}, "name": {"type": ["string", "null"]}}},
            {"type": "object", "required": ["role", "content"], "properties": {
              "role": {"const": "tool"}, "content": {"$ref": "#/components/schemas/Content"},
              "name": {"type": ["string", "null"]}, "tool_call_id": {"type": ["string", "null"]}}},
            {"type": "object", "required": ["role", "content"], "properties": {
              "role": {"const": "assistant"}, "content": {"$ref": "#/components/schemas/Content"},
              "reasoning_content": {"type": ["string", "null"]},
              "tool_calls": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/ToolCall"}}}},
            {"type": "object", "required": ["role", "tool_calls"], "properties": {
              "role": {"const": "assistant"}, "content": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Content"}]},
              "reasoning_content": {"type": ["string", "null"]},
              "tool_calls": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/ToolCall"}}}}]},
          "Content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {
            "type": "object", "required": ["type", "text"],
            "properties": {"type": {"enum": ["text"]}, "text": {"type": "string"}}}}]},
          "ToolCall": {
            "type": "object", "required": ["function"],
            "properties": {
              "id": {"type": ["string", "null"]},
              "function": {
                "type": "object", "required": ["name", "arguments"],
                "properties": {"name": {"type": "string"}, "arguments": {"type": ["string", "object"]}}}}},
          \#(answers)
        }
      }
    }
    """#
  }
}
