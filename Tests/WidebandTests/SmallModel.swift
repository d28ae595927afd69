import TestSupport

/// A small Qwen3 model with random weights, for the vocabulary of the fixture tokenizer.
extension TemporaryFolder {
  /// Writes the model's `config.json` under a name.
  ///
  /// - Parameter keys: further members of the object.
  func writeSmallConfiguration(
    _ name: String = "small.json", keys: String = #""tie_word_embeddings": true, "eos_token_id": [3002, 3000]"#
  ) throws {
    try write(
      name,
      text: """
        {"model_type": "qwen3", "vocab_size": 3005, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "head_dim": 4, "intermediate_size": 12, \(keys)}
        """)
  }

  /// Runs `wideband init` with `small.json`.
  func initializeModel(_ name: String = "model", _ arguments: String...) throws -> Executable.Result {
    try Executable.run(["init", "--config", "small.json", "--output", name] + arguments, in: url)
  }

  /// Creates the folder "model" with a float32 model and the fixture tokenizer.
  func initializeChatModel(contextLength: Int) throws {
    try writeSmallConfiguration(keys: #""max_position_embeddings": \#(contextLength)"#)
    let tokenizer = Fixtures.url("tokenizers/qwen").path
    let result = try initializeModel("model", "--dtype", "float32", "--tokenizer", tokenizer)
    guard result.status == 0 else { throw SetupError(description: result.errors) }
  }
}

/// A failure of a test's setup.
struct SetupError: Error {
  let description: String
}
