extension Description {
  /// The schemas of answers.
  static let answers = #"""
    "ChatAnswer": {
      "type": "object", "required": ["id", "object", "created", "model", "choices", "usage"],
      "properties": {
        "id": {"type": "string"}, "object": {"const": "chat.completion"}, "created": {"type": "integer"},
        "model": {"type": "string"}, "usage": {"$ref": "#/components/schemas/Usage"},
        "choices": {"type": "array", "minItems": 1, "items": {
          "type": "object", "required": ["index", "message", "logprobs", "finish_reason"],
          "properties": {
            "index": {"type": "integer"}, "finish_reason": {"enum": ["stop", "length", "tool_calls"]},
            "message": {
              "type": "object", "required": ["role", "content"],
              "properties": {
                "role": {"const": "assistant"}, "content": {"type": ["string", "null"]},
                "reasoning_content": {"type": "string"},
                "tool_calls": {"type": "array", "minItems": 1, "items": {
                  "type": "object", "required": ["id", "type", "function"],
                  "properties": {
                    "id": {"type": "string"}, "type": {"const": "function"},
                    "function": {
                      "type": "object", "required": ["name", "arguments"],
                      "properties": {"name": {"type": "string"}, "arguments": {"type": "string"}}}}}}}},
            "logprobs": {"type": ["object", "null"], "required": ["content"], "properties": {
              "content": {"type": "array", "items": {"allOf": [
                {"$ref": "#/components/schemas/TokenLogprob"},
                {"required": ["top_logprobs"], "properties": {
                  "top_logprobs": {"type": "array", "items": {"$ref": "#/components/schemas/TokenLogprob"}}}}]}}}}}}}}},
    "TokenLogprob": {
      "type": "object", "required": ["token", "logprob", "bytes"],
      "properties": {
        "token": {"type": "string"}, "logprob": {"type": "number", "maximum": 0},
        "bytes": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}}},
    "CompletionAnswer": {
      "type": "object", "required": ["id", "object", "created", "model", "choices", "usage"],
      "properties": {
        "id": {"type": "string"}, "object": {"const": "text_completion"}, "created": {"type": "integer"},
        "model": {"type": "string"}, "usage": {"$ref": "#/components/schemas/Usage"},
        "choices": {"type": "array", "minItems": 1, "items": {
          "type": "object", "required": ["index", "text", "logprobs", "finish_reason"],
          "properties": {
            "index": {"type": "integer"}, "text": {"type": "string"}, "finish_reason": {"enum": ["stop", "length"]},
            "logprobs": {
              "type": ["object", "null"], "required": ["tokens", "token_logprobs", "top_logprobs", "text_offset"],
              "properties": {
                "tokens": {"type": "array", "items": {"type": "string"}},
                "token_logprobs": {"type": "array", "items": {"type": ["number", "null"], "maximum": 0}},
                "top_logprobs": {"type": "array", "items": {
                  "type": ["object", "null"], "additionalProperties": {"type": "number", "maximum": 0}}},
                "text_offset": {"type": "array", "items": {"type": "integer", "minimum": 0}}}}}}}}},
    "Usage": {
      "type": "object", "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
      "properties": {
        "prompt_tokens": {"type": "integer"}, "completion_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"},
        "prompt_tokens_details": {"type": "object", "properties": {"cached_tokens": {"type": "integer"}}}}},
    "Models": {
      "type": "object", "required": ["object", "data"],
      "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}},
    "Model": {
      "type": "object", "required": ["id", "object", "created", "owned_by"],
      "properties": {
        "id": {"type": "string"}, "object": {"const": "model"}, "created": {"type": "integer"},
        "owned_by": {"type": "string"}, "max_model_len": {"type": "integer"}}},
    "TokensAnswer": {
      "type": "object", "required": ["tokens", "count", "max_model_len"],
      "properties": {
        "tokens": {"$ref": "#/components/schemas/Tokens"}, "count": {"type": "integer"},
        "max_model_len": {"type": "integer"}}},
    "TextAnswer": {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}},
    "TokenizerAnswer": {
      "type": "object", "required": ["eos_token", "bos_token", "pad_token", "vocab_size"],
      "properties": {
        "eos_token": {"type": ["string", "null"]}, "bos_token": {"type": ["string", "null"]},
        "pad_token": {"type": ["string", "null"]}, "vocab_size": {"type": "integer"}}},
    "Health": {
      "type": "object", "required": ["status"], "properties": {"status": {"enum": ["ok", "unavailable"]}}}
    """#
}
